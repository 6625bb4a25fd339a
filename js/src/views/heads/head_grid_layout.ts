// Where each head stands in the grid, at each zoom, and which of them are in view.

import type { ModelInfo } from "../../protocol/schema";
import { columnWidth, GAP, LEFT, WIDEST } from "../../ui/layer_columns";

export interface Layout {
  cellWidth: number;
  /** Height of a thumbnail with its bar. */
  cellHeight: number;
  thumbnail: { width: number; height: number };
  /** Height of a bar, and of the space above it. */
  bar: { height: number; above: number };
  left: number;
  top: number;
  width: number;
  height: number;
}

/** Layers and heads from the first to before the last. */
export interface HeadsInView {
  layers: readonly [number, number];
  heads: readonly [number, number];
}

/** Width of the smallest pictures: the whole of a large model stands in its panel. */
const SMALLEST = 12;
/** Below this width the prune mark would cover the head, and one may want to see more of it. */
export const SMALLEST_WITH_MARK = 44;
const BAR = 5;
/** In view is asked in steps of so many cells, with so many beyond, so that scrolling paints seldom. */
const STEP = 4;

/** Layers are columns, heads are rows; thumbnails keep the shape of the picture. */
export function layoutOf(info: ModelInfo, width: number, zoom = 1): Layout {
  const left = LEFT;
  const top = 18;
  const fitted = columnWidth(width, info.num_layers, SMALLEST);
  const cellWidth = Math.min(WIDEST, fitted * zoom);
  const gap = Math.min(GAP, cellWidth / 6);
  const thumbnail = { width: cellWidth - gap, height: ((cellWidth - gap) * info.rows) / info.cols };
  const bar = { height: Math.min(BAR, cellWidth / 4.8), above: Math.min(2, cellWidth / 12) };
  const cellHeight = thumbnail.height + bar.above + bar.height + gap;
  return {
    cellWidth,
    cellHeight,
    thumbnail,
    bar,
    left,
    top,
    width: left + cellWidth * info.num_layers,
    height: top + cellHeight * Math.max(...info.num_heads),
  };
}

/** How far one can zoom in; 1 where the pictures are large as they are. */
export function mostZoom(info: ModelInfo, width: number): number {
  const fitted = columnWidth(width, info.num_layers, SMALLEST);
  return fitted < SMALLEST_WITH_MARK ? WIDEST / fitted : 1;
}

/** The heads within a rectangle of the grid, and some around it. */
export function headsWithin(
  info: ModelInfo,
  layout: Layout,
  view: { left: number; top: number; width: number; height: number },
): HeadsInView {
  const range = (from: number, size: number, cell: number, count: number) => {
    const first = Math.floor(from / cell / STEP) - 1;
    const stop = Math.ceil((from + size) / cell / STEP) + 1;
    return [Math.max(0, first * STEP), Math.min(count, stop * STEP)] as const;
  };
  return {
    layers: range(view.left - layout.left, view.width, layout.cellWidth, info.num_layers),
    heads: range(
      view.top - layout.top,
      view.height,
      layout.cellHeight,
      Math.max(...info.num_heads),
    ),
  };
}

/** Which of the numbers along an edge are written: all, or each fifth where they would touch. */
export function isWritten(number: number, room: number): boolean {
  return room >= 17 || number % 5 === 0;
}
