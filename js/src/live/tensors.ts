// Writes what a kernel sends: safetensors, and rows of values as bytes with a scale each.

import type { Encoded, Tensor } from "../protocol/safetensors";
import { at } from "./numbers";

const DTYPES = { F32: Float32Array, U8: Uint8Array } as const;

type Held = { [name: string]: Tensor | undefined };

export const EMPTY = new DataView(new ArrayBuffer(0));

export const floats = (shape: number[], data: ArrayLike<number>): Tensor<Float32Array> => ({
  dtype: "F32",
  shape,
  data: data instanceof Float32Array ? data : Float32Array.from(data),
});

export const bytes = (shape: number[], data: Uint8Array): Tensor<Uint8Array> => ({
  dtype: "U8",
  shape,
  data,
});

/** Tensors, with metadata as text, as the browser decodes them. */
export function encode<T extends object, M extends object = Record<string, never>>(
  tensors: T,
  metadata?: M,
): Encoded<T, M> {
  const entries = Object.entries(tensors as Held) as [string, Tensor][];
  const header: Record<string, unknown> = {};
  if (metadata) {
    const said = Object.entries(metadata).map(([name, value]) => [name, String(value)]);
    header.__metadata__ = Object.fromEntries(said);
  }
  let size = 0;
  for (const [name, { dtype, shape, data }] of entries) {
    header[name] = { dtype, shape, data_offsets: [size, size + data.byteLength] };
    size += data.byteLength;
  }
  const text = new TextEncoder().encode(JSON.stringify(header));
  const view = new DataView(new ArrayBuffer(8 + text.length + size));
  view.setBigUint64(0, BigInt(text.length), true);
  const all = new Uint8Array(view.buffer);
  all.set(text, 8);
  let start = 8 + text.length;
  for (const [, { dtype, data }] of entries) {
    if (!(data instanceof DTYPES[dtype as keyof typeof DTYPES])) throw new Error(`no ${dtype}`);
    all.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), start);
    start += data.byteLength;
  }
  return view as Encoded<T, M>;
}

/** Rows of n values >= 0 as bytes, about `bytes / 255 * scale`. */
export function quantized(rows: Float32Array, n: number) {
  const scale = new Float32Array(rows.length / n);
  const data = new Uint8Array(rows.length);
  scale.forEach((_, row) => {
    const values = rows.subarray(row * n, (row + 1) * n);
    const highest = Math.max(...values);
    scale[row] = highest;
    if (highest > 0) {
      for (let i = 0; i < n; i++) data[row * n + i] = Math.round((at(values, i) * 255) / highest);
    }
  });
  return { data, scale };
}
