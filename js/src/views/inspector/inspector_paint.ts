// The picture with the attention of a token over it.

import { type Heatmap, limits } from "../../draw/heatmap";
import type { ModelInfo } from "../../protocol/schema";
import type { Store } from "../../state/store";
import { paintOverlay } from "../../ui/paint_overlay";

export interface Shown {
  /** Attention to or from every token. */
  values: Float32Array;
  /** Largest value over the patches of all heads of the layer, so that heads share a scale. */
  high: number;
}

const scratch = new Map<number, Float32Array>();

function buffer(length: number): Float32Array {
  const row = scratch.get(length) ?? new Float32Array(length);
  scratch.set(length, row);
  return row;
}

/** Largest attention to a patch over the heads of a layer, for a token; 0 if not known. */
export function layerHigh(store: Store, info: ModelInfo, layer: number, token: number): number {
  const row = buffer(info.num_tokens);
  let high = 0;
  for (let head = 0; head < (info.num_heads[layer] ?? 0); head++) {
    if (store.attention.read(layer, head, token, row)) {
      high = Math.max(high, limits(row, info.prefix.length)[1]);
    }
  }
  return high;
}

/** What is shown for a head now, or null while it is not known. */
export function shownAttention(store: Store, info: ModelInfo, head: number): Shown | null {
  const layer = store.traits.selected_layer.value;
  const token = store.shownToken.value;
  const values = new Float32Array(info.num_tokens);
  if (!store.attention.read(layer, head, token, values)) return null;
  const high =
    head < 0 ? limits(values, info.prefix.length)[1] : layerHigh(store, info, layer, token);
  return { values, high };
}

/** The patches of what is shown, as a map. */
export function patchMap(info: ModelInfo, { values, high }: Shown): Heatmap {
  return { values, offset: info.prefix.length, rows: info.rows, cols: info.cols, low: 0, high };
}

/** Picture, map and the outline of the patch that is asked about. */
export function paintPicture(
  context: CanvasRenderingContext2D,
  width: number,
  height: number,
  store: Store,
  info: ModelInfo,
  picture: ImageBitmap | null,
  shown: Shown | null,
): void {
  paintOverlay(context, width, height, store, picture, shown && patchMap(info, shown));
  outline(context, width, height, info, store.traits.selected_token.value, 3);
  const hovered = store.hovered.value;
  if (hovered !== null) outline(context, width, height, info, hovered, 2);
}

function outline(
  context: CanvasRenderingContext2D,
  width: number,
  height: number,
  info: ModelInfo,
  token: number,
  thickness: number,
): void {
  const patch = token - info.prefix.length;
  if (patch < 0) return;
  const w = width / info.cols;
  const h = height / info.rows;
  const x = (patch % info.cols) * w;
  const y = Math.floor(patch / info.cols) * h;
  context.lineWidth = thickness;
  context.strokeStyle = "black";
  context.strokeRect(x - 1, y - 1, w + 2, h + 2);
  context.lineWidth = thickness / 2;
  context.strokeStyle = "white";
  context.strokeRect(x - 1, y - 1, w + 2, h + 2);
}
