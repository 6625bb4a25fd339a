// A kernel that is not there: a small model of 2 layers x 2 heads on 2 x 3 patches.

import type { AnyModel } from "../src/protocol/model";
import { Store } from "../src/state/store";

type Numbers = Float32Array | Uint8Array | Uint16Array | Uint32Array;
type Values = Record<string, { shape: number[]; data: Numbers }>;

const DTYPES: Record<string, string> = {
  Float32Array: "F32",
  Uint8Array: "U8",
  Uint16Array: "U16",
  Uint32Array: "U32",
};

/** Safetensors bytes, placed at an odd offset in a larger buffer, as comms deliver them. */
export function encode(tensors: Values, metadata: Record<string, string> = {}): DataView {
  const header: Record<string, unknown> = { __metadata__: metadata };
  let at = 0;
  for (const [name, { shape, data }] of Object.entries(tensors)) {
    const dtype = DTYPES[data.constructor.name];
    header[name] = { dtype, shape, data_offsets: [at, at + data.byteLength] };
    at += data.byteLength;
  }
  const text = new TextEncoder().encode(JSON.stringify(header));
  const offset = 3;
  const bytes = new Uint8Array(offset + 8 + text.length + at);
  const view = new DataView(bytes.buffer, offset);
  view.setBigUint64(0, BigInt(text.length), true);
  bytes.set(text, offset + 8);
  let to = offset + 8 + text.length;
  for (const { data } of Object.values(tensors)) {
    bytes.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), to);
    to += data.byteLength;
  }
  return view;
}

export const TOKENS = 7;

const ANSWERED = ["attention", "alive", "all_traits", "stored_look"];

/** Attention that tells layer, head, query and key apart. */
export function attention(layer: number, head: number, query: number, key: number): number {
  return (1 + ((layer * 5 + head * 3 + query * 2 + key) % 7)) / 28;
}

export function layerBytes(layer: number): DataView {
  const bytes = new Uint8Array(2 * TOKENS * TOKENS);
  const scale = new Float32Array(2 * TOKENS).fill(0.25);
  for (let h = 0; h < 2; h++)
    for (let q = 0; q < TOKENS; q++)
      for (let k = 0; k < TOKENS; k++)
        bytes[(h * TOKENS + q) * TOKENS + k] = Math.round((attention(layer, h, q, k) / 0.25) * 255);
  return encode({
    attention: { shape: [2, TOKENS, TOKENS], data: bytes },
    scale: { shape: [2, TOKENS], data: scale },
  });
}

export function rowBytes(token: number, layers: readonly number[] = [0, 1]): DataView {
  const bytes = new Uint8Array(2 * layers.length * TOKENS);
  layers.forEach((l, i) => {
    for (let h = 0; h < 2; h++)
      for (let k = 0; k < TOKENS; k++)
        bytes[(i * 2 + h) * TOKENS + k] = Math.round((attention(l, h, token, k) / 0.25) * 255);
  });
  return encode(
    {
      rows: { shape: [layers.length, 2, TOKENS], data: bytes },
      scale: { shape: [layers.length, 2], data: new Float32Array(2 * layers.length).fill(0.25) },
    },
    { token: String(token), direction: "attends_to", first_layer: String(layers[0]) },
  );
}

export const STATE: Record<string, unknown> = {
  selected_layer: 1,
  selected_head: 0,
  selected_token: 0,
  selected_image: -1,
  direction: "attends_to",
  _history: { pruned: [], undo: [], redo: [] },
  pruned_heads: [],
  method: "daam",
  metric: "probability",
  target: 1,
  colormap: "viridis",
  opacity: 0.6,
  interpolation: "bilinear",
  scale: "shared",
  overlay: "attention",
  _model_info: {
    name: "small",
    num_layers: 2,
    num_heads: [2, 2],
    prefix: ["class"],
    rows: 2,
    cols: 3,
    num_tokens: TOKENS,
    image_width: 24,
    image_height: 16,
    area: [0, 0, 1, 1],
    class_names: ["heart", "star", "starfish"],
    num_classes: 3,
    output: "softmax",
    takes_prompts: false,
    class_agnostic: ["rollout", "attention"],
    methods: [
      { key: "daam", label: "DAAM", hint: "" },
      { key: "rollout", label: "rollout", hint: "" },
    ],
    metrics: [
      { key: "probability", label: "probability", hint: "" },
      { key: "taylor", label: "gradient", hint: "" },
    ],
    image_name: "scene",
    set_size: 0,
    other_models: [],
    by_class: true,
  },
  _picture: new DataView(new ArrayBuffer(4)),
  decision: {
    target: 1,
    target_name: "star",
    target_before: 0.7,
    target_after: null,
    pruned: [],
    rows: [
      { index: 1, name: "star", before: 0.7, after: null },
      { index: 0, name: "heart", before: 0.2, after: null },
    ],
  },
  _maps: encode({
    daam: { shape: [2, 2, 3], data: new Float32Array([0, 0, 0, 0, 0, 1, 0, 1, 0, 2, 0, 4]) },
    rollout: { shape: [2, 2, 3], data: new Float32Array(12).fill(0.1) },
  }),
  _importance_data: encode(
    {
      probability: { shape: [2, 2], data: new Float32Array([0.4, -0.1, Number.NaN, 0.02]) },
      taylor: { shape: [2, 2], data: new Float32Array([0.5, 0.1, Number.NaN, 0.2]) },
    },
    { baseline: "0.7" },
  ),
  _importance_before: new DataView(new ArrayBuffer(0)),
  accuracy: {},
  partial: {},
  _interactions: {},
  curves: {},
  _saved_model: {},
  _strength_data: new DataView(new ArrayBuffer(0)),
  _strength_set: new DataView(new ArrayBuffer(0)),
  _layer_decisions: new DataView(new ArrayBuffer(0)),
  _overview: {},
  _thumbnails: new DataView(new ArrayBuffer(0)),
  _stored: {},
  _stored_heads: new DataView(new ArrayBuffer(0)),
  _stored_points: new DataView(new ArrayBuffer(0)),
  _brought: { names: ["scene"], shown: 0 },
  _brought_thumbnails: new DataView(new ArrayBuffer(0)),
  _comparison: {},
  _comparison_maps: new DataView(new ArrayBuffer(0)),
  faithfulness: {},
  _patterns_info: {},
  _patterns_here: new DataView(new ArrayBuffer(0)),
  _bundle: "IPY_MODEL_code", // as in a notebook
  _attention_rows: rowBytes(0),
  status: { state: "idle", label: "", progress: null, error: null, milliseconds: 12, paused: [] },
  _version: 1,
};

export class FakeModel implements AnyModel {
  readonly values: Record<string, unknown>;
  readonly sent: Record<string, unknown>[] = [];
  /** What was sent beside messages. */
  readonly buffers: ArrayBuffer[] = [];
  readonly saved: string[][] = [];
  answers = true;
  private readonly changed = new Set<string>();
  private readonly listeners = new Map<string, ((...values: never[]) => void)[]>();

  constructor(changes: Record<string, unknown> = {}) {
    this.values = { ...STATE, ...changes };
  }

  get(name: string): unknown {
    return this.values[name];
  }

  set(name: string, value: unknown): void {
    this.values[name] = value;
    this.changed.add(name);
  }

  save_changes(): void {
    this.saved.push([...this.changed]);
    this.changed.clear();
  }

  on(event: string, listener: (...values: never[]) => void): void {
    this.listeners.set(event, [...(this.listeners.get(event) ?? []), listener]);
  }

  off(event: string, listener: (...values: never[]) => void): void {
    const left = (this.listeners.get(event) ?? []).filter((one) => one !== listener);
    this.listeners.set(event, left);
  }

  get listening(): number {
    return [...this.listeners.values()].reduce((sum, list) => sum + list.length, 0);
  }

  /** The kernel changes a trait. */
  kernel(name: string, value: unknown): void {
    this.values[name] = value;
    this.emit(`change:${name}`);
  }

  emit(event: string, ...values: unknown[]): void {
    for (const listener of this.listeners.get(event) ?? []) listener(...(values as never[]));
  }

  send(content: Record<string, unknown>, _: unknown = null, beside: ArrayBuffer[] = []): void {
    this.sent.push(content);
    this.buffers.push(...beside);
    if (!this.answers || !ANSWERED.includes(content.method as string)) return;
    const { layer } = content.params as { layer: number };
    const reply = { id: content.id, ok: true, meta: { version: this.values._version } };
    const buffers = content.method === "attention" ? [layerBytes(layer)] : undefined; // or []
    queueMicrotask(() => this.emit("msg:custom", reply, buffers));
  }
}

export function storeOf(changes: Record<string, unknown> = {}, answers = true) {
  const model = new FakeModel(changes);
  model.answers = answers;
  const abort = new AbortController();
  const store = new Store(model, abort.signal);
  return { model, store, abort };
}

/** Let answers that are on their way arrive. */
export async function settle(): Promise<void> {
  for (let i = 0; i < 30; i++) await Promise.resolve();
}
