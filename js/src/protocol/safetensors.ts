// Reads safetensors: eight bytes of header length, a JSON header, then the raw tensors.

type Values = Float32Array | Uint8Array | Uint16Array | Uint32Array;

export interface Tensor<V extends Values = Values> {
  dtype: string;
  shape: number[];
  /** Values as numbers; half precision is widened to float32. */
  data: V;
}

/** Bytes that hold the tensors T, and the metadata M as text. */
export type Encoded<T, M = unknown> = DataView & { readonly holds?: [T, M] };

export interface Decoded<T, M = unknown> {
  tensors: T;
  metadata: { [K in keyof M]: string };
}

interface Entry {
  dtype: string;
  shape: number[];
  data_offsets: [number, number];
}

/**
 * Decodes a buffer, which may be a view into a larger one; throws on what it does not know. That it
 * holds what its type says is for the schema's tests to show.
 */
export function decode<T, M>(view: Encoded<T, M>): Decoded<T, M> {
  const length = Number(view.getBigUint64(0, true));
  const start = view.byteOffset + 8;
  const header: Record<string, Entry> & { __metadata__?: Record<string, string> } = JSON.parse(
    new TextDecoder().decode(new Uint8Array(view.buffer, start, length)),
  );
  const { __metadata__: metadata = {}, ...entries } = header;
  const tensors: Record<string, Tensor> = {};
  for (const [name, { dtype, shape, data_offsets }] of Object.entries(entries)) {
    const [from, to] = data_offsets;
    // A copy starts at 0, so every element type is aligned.
    const bytes = view.buffer.slice(start + length + from, start + length + to) as ArrayBuffer;
    tensors[name] = { dtype, shape, data: widen(dtype, bytes) };
  }
  return { tensors, metadata } as Decoded<T, M>;
}

/** Names of the tensors in a buffer, which is not decoded; none in an empty one. */
export function namesIn(view: DataView | undefined): string[] {
  if (!view || view.byteLength <= 8) return [];
  const bytes = new Uint8Array(
    view.buffer,
    view.byteOffset + 8,
    Number(view.getBigUint64(0, true)),
  );
  return Object.keys(JSON.parse(new TextDecoder().decode(bytes))).filter(
    (name) => name !== "__metadata__",
  );
}

function widen(dtype: string, bytes: ArrayBuffer): Values {
  if (dtype === "U8") return new Uint8Array(bytes);
  if (dtype === "U16") return new Uint16Array(bytes);
  if (dtype === "U32") return new Uint32Array(bytes);
  if (dtype === "F32") return new Float32Array(bytes);
  if (dtype === "F16") return Float32Array.from(new Uint16Array(bytes), half);
  throw new Error(
    `A tensor of type ${dtype} came from the kernel; U8, U16, U32, F16 and F32 are known.`,
  );
}

function half(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * 2 ** -24 * fraction;
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return sign * 2 ** (exponent - 15) * (1 + fraction / 1024);
}
