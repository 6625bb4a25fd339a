// The buttons that zoom the grid of heads; they stand there where its pictures are small.

import type { GridZoom } from "./use_grid_zoom";

export function ZoomTools({ zoom, most, step }: GridZoom) {
  if (most === 1) return null;
  return (
    <span class="vaw-zoom" role="group" aria-label="size of the pictures">
      <button
        type="button"
        data-testid="heads-smaller"
        aria-label="smaller pictures"
        data-tip="smaller pictures (−)"
        disabled={zoom === 1}
        onClick={() => step(-1)}
      >
        −
      </button>
      <button
        type="button"
        data-testid="heads-all"
        data-tip="all heads at once (0)"
        disabled={zoom === 1}
        onClick={() => step(0)}
      >
        all
      </button>
      <button
        type="button"
        data-testid="heads-larger"
        aria-label="larger pictures"
        data-tip="larger pictures (+, or Ctrl and wheel, or two fingers)"
        disabled={zoom === most}
        onClick={() => step(1)}
      >
        +
      </button>
    </span>
  );
}
