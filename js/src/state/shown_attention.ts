// The attention of a token in a head, and the scale on which it is shown.

import { type Heatmap, limits } from "../draw/heatmap";
import type { ModelInfo } from "../protocol/schema";
import { derived } from "./derived";
import { headsInOrder } from "./heads";
import type { Store } from "./store";

export interface ShownAttention {
  /** Attention to or from every token. */
  values: Float32Array;
  /** Top of the colors: the largest value of any head of the layer, or of this one alone. */
  high: number;
}

const scratch = new Map<number, Float32Array>();

function buffer(length: number): Float32Array {
  const row = scratch.get(length) ?? new Float32Array(length);
  scratch.set(length, row);
  return row;
}

/** Largest attention to a patch over the heads of a layer, sinks left out; 0 if not known. */
export function layerHigh(store: Store, info: ModelInfo, layer: number, token: number): number {
  const row = buffer(info.num_tokens);
  let high = 0;
  for (let head = 0; head < (info.num_heads[layer] ?? 0); head++) {
    if (store.attention.read(layer, head, token, row)) {
      high = Math.max(high, highOf(store, info, layer, row));
    }
  }
  return high;
}

/** Largest attention to a patch that is no sink, which would leave the others in the dark. */
export function highOf(store: Store, info: ModelInfo, layer: number, row: Float32Array): number {
  const sinks = store.attention.sinks(layer);
  if (sinks.length === 0) return limits(row, info.prefix.length)[1];
  const others = row.slice(info.prefix.length);
  for (const sink of sinks) others[sink - info.prefix.length] = Number.NaN;
  return limits(others)[1];
}

/** What is shown for a head (-1: the mean of the layer's heads), or null while it is not known. */
export function shownAttention(
  store: Store,
  info: ModelInfo,
  head: number,
  layer = store.traits.selected_layer.value,
  own = store.headScale.value === "own",
): ShownAttention | null {
  const token = store.shownToken.value;
  const values = new Float32Array(info.num_tokens);
  if (!store.attention.read(layer, head, token, values)) return null;
  const high = own ? highOf(store, info, layer, values) : layerHigh(store, info, layer, token);
  return { values, high };
}

/** The patches of what is shown, as a map. */
export function patchMap(info: ModelInfo, { values, high }: ShownAttention): Heatmap {
  return { values, offset: info.prefix.length, rows: info.rows, cols: info.cols, low: 0, high };
}

/** As on a large picture: the mean of heads, dark on the scale of its heads, has a scale of its own. */
export function largeAttention(
  store: Store,
  info: ModelInfo,
  layer: number,
  head: number,
): ShownAttention | null {
  return shownAttention(store, info, head, layer, head < 0 || store.headScale.value === "own");
}

/** What the selected head is shown to attend to. */
export const attentionMap = derived((store): Heatmap | null => {
  const info = store.info.value;
  const { selected_layer, selected_head } = store.traits;
  const shown = info && largeAttention(store, info, selected_layer.value, selected_head.value);
  return shown && patchMap(info, shown);
});

/** A head of the grid with the attention of the shown token, null while it is not known. */
export interface HeadRow {
  layer: number;
  head: number;
  row: Float32Array | null;
}

/** All heads, and the scale of all: nine of ten stay below it, sinks are left out. */
export const headRows = derived((store): { rows: HeadRow[]; high: number } => {
  const info = store.info.value;
  if (!info) return { rows: [], high: 0 };
  const token = store.shownToken.value;
  const highs: number[] = [];
  const rows = headsInOrder(info.num_heads).map(([layer, head]) => {
    const row = new Float32Array(info.num_tokens);
    if (!store.attention.read(layer, head, token, row)) return { layer, head, row: null };
    highs.push(highOf(store, info, layer, row));
    return { layer, head, row };
  });
  highs.sort((a, b) => a - b);
  return { rows, high: highs[Math.floor(0.9 * (highs.length - 1))] ?? 0 };
});
