// How the maps of the layers are put on a color scale.

import { type Heatmap, limits } from "../draw/heatmap";
import type { ModelInfo, Scale } from "../protocol/schema";
import type { Store } from "./store";

export interface ShownMap {
  values: Float32Array;
  offset: number;
  low: number;
  high: number;
}

/** The map of one layer with the limits of its colors. */
export function shownMap(all: Float32Array, layers: number, layer: number, scale: Scale): ShownMap {
  const size = all.length / layers;
  const offset = layer * size;
  if (scale === "layer") {
    const [low, high] = limits(all, offset, offset + size);
    return { values: all, offset, low: Math.min(0, low), high };
  }
  const top = limits(all, (layers - 1) * size)[1];
  if (scale === "sigmoid") {
    // The authors' display of DAAM: s(5 D / g) with s(x) = sigmoid(x) - 1/2, g the last map's maximum.
    const values = all.slice(offset, offset + size);
    for (let i = 0; i < size; i++) {
      values[i] = top > 0 ? 1 / (1 + Math.exp((-5 * (values[i] ?? 0)) / top)) - 0.5 : 0;
    }
    return { values, offset: 0, low: 0, high: 1 / (1 + Math.exp(-5)) - 0.5 };
  }
  const high = limits(all)[1];
  return { values: all, offset, low: Math.min(0, limits(all)[0]), high };
}

/** Sum of each layer's map as a share of the largest sum. */
export function layerShares(all: Float32Array, layers: number): number[] {
  const size = all.length / layers;
  const sums = Array.from({ length: layers }, (_, layer) => {
    let sum = 0;
    for (let i = 0; i < size; i++) sum += all[layer * size + i] ?? 0;
    return sum;
  });
  const most = Math.max(...sums, 0);
  return sums.map((sum) => (most > 0 ? sum / most : 0));
}

/** The selected method's maps: as they were before pruning if that is asked for and there. */
export function mapsShown(store: Store): Float32Array | null {
  const maps = store.maps.value;
  const method = store.traits.method.value;
  return (store.showBefore.value && maps[`${method}.before`]) || maps[method] || null;
}

/** Why there is no map of the selected method, where it was refused; "" else. */
export function mapsRefused(store: Store): string {
  const { state, error } = store.status.value;
  return state === "error" && error && !mapsShown(store) ? error.message : "";
}

/** The selected method's map up to a layer, on the scale that was chosen; null until it is there. */
export function explanationMap(store: Store, info: ModelInfo, layer: number): Heatmap | null {
  const maps = mapsShown(store);
  if (!maps) return null;
  const { rows, cols } = info;
  return { ...shownMap(maps, info.num_layers, layer, store.traits.scale.value), rows, cols };
}
