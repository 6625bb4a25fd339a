// All heads of all layers on one canvas: what each sees, and below it how much it matters.

import { type Box, limits, paintMaps } from "../../draw/heatmap";
import { themeOf } from "../../draw/theme";
import type { ModelInfo } from "../../protocol/schema";
import { pictureOf } from "../../state/pictures";
import { type Importance, importanceAt } from "../../state/results";
import { type HeadRow, headRows, highOf, patchMap } from "../../state/shown_attention";
import type { Store } from "../../state/store";
import { layFaint } from "./faint_picture";
import { type HeadsInView, type Layout, SMALLEST_WITH_MARK } from "./head_grid_layout";

/** Largest |importance| that is known, at least a thousandth. */
export function importanceScale(importance: Importance | null): number {
  const [low, high] = limits(importance?.values ?? new Float32Array());
  return Math.max(Math.abs(low), Math.abs(high), 1e-3);
}

interface Cell extends HeadRow {
  box: Box;
  /** Top of its colors. */
  high: number;
  pruned: boolean;
}

/** The heads that are in view; the context's origin is that of the whole grid. */
export function paintHeads(
  context: CanvasRenderingContext2D,
  store: Store,
  info: ModelInfo,
  layout: Layout,
  inView: HeadsInView,
): void {
  const cells = cellsOf(store, info, layout, inView);
  paintAttention(context, store, info, cells);
  paintImportance(context, store, info, layout, cells);
}

function cellsOf(
  store: Store,
  info: ModelInfo,
  layout: Layout,
  { layers, heads }: HeadsInView,
): Cell[] {
  const { rows, high: shared } = headRows(store);
  const perHead = store.headScale.value === "own";
  const inView = rows.filter(
    ({ layer, head }) =>
      layer >= layers[0] && layer < layers[1] && head >= heads[0] && head < heads[1],
  );
  return inView.map(({ layer, head, row }) => ({
    layer,
    head,
    row,
    high: row && perHead ? highOf(store, info, layer, row) : shared,
    pruned: store.pruned.value.has(layer, head),
    box: {
      x: layout.left + layer * layout.cellWidth,
      y: layout.top + head * layout.cellHeight,
      ...layout.thumbnail,
    },
  }));
}

/** What each head attends to, and the picture in gray over it. */
function paintAttention(
  context: CanvasRenderingContext2D,
  store: Store,
  info: ModelInfo,
  cells: readonly Cell[],
): void {
  context.fillStyle = themeOf(context.canvas)("muted");
  context.globalAlpha = 0.15;
  for (const { row, pruned, box } of cells) {
    if (!row || pruned) context.fillRect(box.x, box.y, box.width, box.height);
  }
  context.globalAlpha = 1;
  const maps = cells.flatMap(({ row, high, pruned, box }) =>
    row ? [{ map: patchMap(info, { values: row, high }), box, opacity: pruned ? 0.2 : 1 }] : [],
  );
  const { colormap, interpolation } = store.traits;
  paintMaps(context, maps, { colormap: colormap.value, interpolation: interpolation.value });
  const picture = pictureOf(store).value;
  const boxes = maps.map(({ box }) => box);
  if (picture) layFaint(context, picture, info.area, boxes);
  for (const { layer, row, high, box } of cells) {
    for (const sink of row ? store.attention.sinks(layer) : []) {
      if ((row?.[sink] ?? 0) > high) ring(context, box, info, sink - info.prefix.length);
    }
  }
}

/** Below each head how much it matters; which are pruned, and which are chosen. */
function paintImportance(
  context: CanvasRenderingContext2D,
  store: Store,
  info: ModelInfo,
  layout: Layout,
  cells: readonly Cell[],
): void {
  const theme = themeOf(context.canvas);
  const [hurts, helps, line] = [theme("hurts"), theme("helps"), theme("line")];
  const importance = store.importance.value;
  const scale = importanceScale(importance);
  const guessScale = limits(importance?.estimate ?? new Float32Array())[1] || 1;
  for (const { layer, head, pruned, box } of cells) {
    const { x, y } = box;
    const value = importanceAt(importance, layer, head);
    const guess = importance?.estimate?.[layer * importance.heads + head] ?? Number.NaN;
    const bar = (share: number, color: string) => {
      const { above, height } = layout.bar;
      context.fillStyle = color;
      context.fillRect(x, y + box.height + above, Math.max(1, share * box.width), height);
    };
    if (pruned) cross(context, box, hurts);
    else if (Number.isFinite(value)) bar(Math.abs(value) / scale, value >= 0 ? hurts : helps);
    else if (Number.isFinite(guess)) {
      context.globalAlpha = 0.35; // not known yet: the gradient's estimate, on its own scale
      bar(guess / guessScale, hurts);
      context.globalAlpha = 1;
    } else if (layout.cellWidth < SMALLEST_WITH_MARK && info.metrics.length > 0) bar(1, line);
    if (store.brush.has(layer, head)) {
      context.strokeStyle = theme("accent");
      const thick = Math.min(3, layout.cellWidth / 8);
      context.lineWidth = thick;
      context.strokeRect(x + thick / 2, y + thick / 2, box.width - thick, box.height - thick);
    }
  }
}

/** Marks a sink whose color says too little. */
function ring(context: CanvasRenderingContext2D, box: Box, info: ModelInfo, patch: number): void {
  const radius = Math.max(2, Math.min(5, box.width / info.cols / 2));
  const x = box.x + (((patch % info.cols) + 0.5) / info.cols) * box.width;
  const y = box.y + ((Math.floor(patch / info.cols) + 0.5) / info.rows) * box.height;
  for (const [color, width] of [
    ["black", 2.5],
    ["white", 1],
  ] as const) {
    context.strokeStyle = color;
    context.lineWidth = width;
    context.beginPath();
    context.arc(x, y, radius, 0, 2 * Math.PI);
    context.stroke();
  }
}

function cross(context: CanvasRenderingContext2D, box: Box, color: string): void {
  context.strokeStyle = color;
  context.lineWidth = 2;
  context.beginPath();
  context.moveTo(box.x + 3, box.y + 3);
  context.lineTo(box.x + box.width - 3, box.y + box.height - 3);
  context.moveTo(box.x + box.width - 3, box.y + 3);
  context.lineTo(box.x + 3, box.y + box.height - 3);
  context.stroke();
}
