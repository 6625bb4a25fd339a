// Below the map of patterns: zoom buttons, and what its colours say.

import type { Head } from "../../protocol/schema";
import { placeAmong } from "../../state/heads";
import type { Here } from "../../state/patterns";
import type { Store } from "../../state/store";
import type { Zoom } from "../../ui/use_zoom";
import { layerColour } from "./pattern_paint";

interface Props {
  store: Store;
  zoom: Zoom;
  heads: readonly Head[];
  here: Here | null;
  layers: number;
}

export function ScatterTools({ store, zoom, heads, here, layers }: Props) {
  return (
    <div class="vaw-row">
      <span class="vaw-tools">
        <button type="button" aria-label="smaller" onClick={() => zoom.zoomBy(0.5)}>
          −
        </button>
        <button
          type="button"
          aria-label="larger"
          data-testid="pattern-zoom-in"
          onClick={() => {
            const shown = placeAmong(heads, store.shownHead.peek());
            const placed = here && shown >= 0; // towards the head that is looked at
            const [x, y] = placed ? [here.points[2 * shown], here.points[2 * shown + 1]] : [];
            zoom.zoomBy(2, x, y);
          }}
        >
          +
        </button>
      </span>
      <LayerLegend layers={layers} />
      <span class="vaw-muted">grey: all images</span>
    </div>
  );
}

function LayerLegend({ layers }: { layers: number }) {
  const stops = Array.from({ length: 9 }, (_, i) => layerColour((i / 8) * (layers - 1), layers));
  return (
    <span class="vaw-colorbar">
      <span class="vaw-muted">layer 0</span>
      <span
        class="vaw-colorbar-strip"
        style={{ background: `linear-gradient(to right, ${stops.join(", ")})` }}
      />
      <span class="vaw-muted">{layers - 1}</span>
    </span>
  );
}
