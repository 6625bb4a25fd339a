// The picture with the map of one layer over it.

import { paintMap } from "../../draw/heatmap";
import type { ModelInfo } from "../../protocol/schema";
import { shownMap } from "../../state/maps";
import type { Store } from "../../state/store";

/** The selected method's maps: as they were before pruning if that is asked for and there. */
export function mapsShown(store: Store): Float32Array | null {
  const maps = store.maps.value;
  const method = store.traits.method.value;
  return (store.showBefore.value && maps[`${method}.before`]) || maps[method] || null;
}

export function paintLayer(
  context: CanvasRenderingContext2D,
  width: number,
  height: number,
  store: Store,
  info: ModelInfo,
  picture: ImageBitmap | null,
  layer: number,
): void {
  if (picture) context.drawImage(picture, 0, 0, width, height);
  const all = mapsShown(store);
  if (!all) return;
  const map = shownMap(all, info.num_layers, layer, store.traits.scale.value);
  paintMap(
    context,
    map.values,
    map.offset,
    info.rows,
    info.cols,
    {
      low: map.low,
      high: map.high,
      colormap: store.traits.colormap.value,
      interpolation: store.traits.interpolation.value,
      opacity: store.traits.opacity.value,
      see_through: true,
    },
    { x: 0, y: 0, width, height },
  );
}
