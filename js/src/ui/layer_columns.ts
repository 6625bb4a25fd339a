// Where layers stand in every view whose depth runs from left to right, so that the eye follows one
// layer straight down through all of them.

/** Space between columns, and before the first; `.vaw-film` begins there too. */
export const GAP = 4;
export const LEFT = 22;
/** So that the numbers of layers do not touch, and 24 layers stand beside a picture. */
export const NARROWEST = 20;
export const WIDEST = 132;

/** Width of a layer's column with its gap, in a view of this width. */
export function columnWidth(width: number, layers: number, narrowest = NARROWEST): number {
  return Math.max(narrowest, Math.min(WIDEST, (width - LEFT) / layers));
}

export interface LayerColumns {
  /** Of one column, with its gap. */
  width: number;
  /** The middle of a layer's column. */
  middle: (layer: number) => number;
  /** The layer at a place, clamped to those that there are. */
  layerAt: (x: number) => number;
  /** Where the last column ends. */
  right: number;
}

export function layerColumns(available: number, layers: number): LayerColumns {
  const width = columnWidth(available, layers);
  return {
    width,
    middle: (layer) => LEFT + layer * width + (width - GAP) / 2,
    layerAt: (x) => Math.max(0, Math.min(layers - 1, Math.floor((x - LEFT) / width))),
    right: LEFT + layers * width - GAP,
  };
}
