// Below the map of patterns: zoom buttons, and what its colors say.

import { isWhole, type Zoom } from "../../ui/use_zoom";
import { ZoomButtons, type ZoomStep } from "../../ui/zoom_buttons";
import { layerColor } from "./pattern_paint";

interface Props {
  zoom: Zoom;
  step: (direction: ZoomStep) => void;
  layers: number;
}

export function ScatterTools({ zoom, step, layers }: Props) {
  return (
    <div class="vaw-row">
      <ZoomButtons
        name="patterns"
        whole={isWhole(zoom.view.value)}
        largest={zoom.view.value.zoom === zoom.most}
        step={step}
      />
      <LayerLegend layers={layers} />
      <span class="vaw-muted">gray: all images</span>
    </div>
  );
}

function LayerLegend({ layers }: { layers: number }) {
  const stops = Array.from({ length: 9 }, (_, i) => layerColor((i / 8) * (layers - 1), layers));
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
