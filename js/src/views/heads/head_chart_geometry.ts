// Where everything of the chart of heads lies, in pixels.

import { linear, type Scale } from "../../draw/scale";
import type { Head, ModelInfo } from "../../protocol/schema";
import { headCount } from "../../state/heads";
import { type Importance, importanceAt } from "../../state/results";
import { BOTTOM, LEFT, RIGHT, TITLE, TOP } from "../../ui/axes";

export const HEIGHT = 204;

/** A layer's stretch of the chart. */
export interface Band {
  left: number;
  middle: number;
  right: number;
}

export interface Geometry {
  x: Scale;
  y: Scale;
  /** What each head is drawn at; NaN where it is not known. */
  values: number[];
  /** The value before any head: of the whole model. */
  start: number;
  bands: Band[];
  /** Through the known values, as an SVG polyline's points. */
  line: string;
  /** Width of a head's bar. */
  barWidth: number;
}

/** What a head's place is drawn at: the probability that is left, or the metric itself. */
function drawnValue(importance: Importance, [layer, head]: Head, ranked: boolean): number {
  const value = importanceAt(importance, layer, head);
  return importance.metric === "probability" && !ranked ? importance.baseline - value : value;
}

export function chartGeometry(
  info: ModelInfo,
  heads: readonly Head[],
  importance: Importance | null,
  ranked: boolean,
  width: number,
): Geometry {
  const values = heads.map((head) =>
    importance ? drawnValue(importance, head, ranked) : Number.NaN,
  );
  const start = importance?.metric === "probability" && !ranked ? importance.baseline : 0;
  const range = [...values.filter(Number.isFinite), start, 0];
  const x = linear(0, heads.length + 1, LEFT, width - RIGHT);
  const y = linear(Math.min(...range), Math.max(...range), HEIGHT - BOTTOM, TOP + TITLE);
  const bands = info.num_heads.map((count, layer) => {
    const before = headCount(info.num_heads.slice(0, layer));
    return {
      left: x.at(before + 0.5),
      middle: x.at(before + count / 2 + 0.5),
      right: x.at(before + count + 0.5),
    };
  });
  const points = values.map((value, i) => `${x.at(1 + i)},${y.at(value)}`);
  const line = [`${x.at(0)},${y.at(start)}`, ...points].filter((point) => !point.includes("NaN"));
  const barWidth = Math.max(1, x.at(1) - x.at(0) - 1);
  return { x, y, values, start, bands, line: line.join(" "), barWidth };
}
