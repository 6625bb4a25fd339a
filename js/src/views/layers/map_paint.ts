// The picture with the map of one layer over it.

import type { ModelInfo } from "../../protocol/schema";
import { shownMap } from "../../state/maps";
import type { Store } from "../../state/store";
import { paintOverlay } from "../../ui/paint_overlay";

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
  const maps = mapsShown(store);
  const map = maps && shownMap(maps, info.num_layers, layer, store.traits.scale.value);
  const { rows, cols } = info;
  paintOverlay(context, width, height, store, picture, map && { ...map, rows, cols });
}
