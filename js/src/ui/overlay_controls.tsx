// How a map lies over the picture: opacity, colors, smooth or by patch.

import type { Colormap, Interpolation } from "../protocol/schema";
import type { Store } from "../state/store";
import { Select } from "./controls";

const COLORMAPS = ["viridis", "cividis", "magma"].map((key) => ({ key, label: key }));
const INTERPOLATIONS = [
  { key: "bilinear", label: "smooth" },
  { key: "nearest", label: "by patch" },
];

export function OverlayControls({ store }: { store: Store }) {
  const { opacity, colormap, interpolation } = store.traits;
  return (
    <div class="vaw-row">
      <label class="vaw-field">
        <span>opacity</span>
        <input
          type="range"
          min="0"
          max="1"
          step="0.05"
          value={opacity.value}
          onInput={(event) => store.set({ opacity: Number(event.currentTarget.value) })}
        />
      </label>
      <Select
        label="colors"
        value={colormap.value}
        options={COLORMAPS}
        onChange={(value) => store.set({ colormap: value as Colormap })}
      />
      <Select
        label="map"
        value={interpolation.value}
        options={INTERPOLATIONS}
        onChange={(value) => store.set({ interpolation: value as Interpolation })}
      />
    </div>
  );
}
