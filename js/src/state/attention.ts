// Attention matrices of the layers, streamed in after the first paint and kept in the browser, so
// that hovering and clicking never wait for the kernel.

import { computed, effect, type ReadonlySignal, type Signal, signal } from "@preact/signals";
import type { Requests } from "../protocol/requests";
import { decode } from "../protocol/safetensors";
import type { ModelInfo } from "../protocol/schema";
import type { Traits } from "../protocol/traits";
import type { Matrix } from "./matrix";
import { type Rows, rowsOf } from "./results";
import { drawn, sinksOf } from "./sinks";

interface Layer {
  /** [head, query, key] flat: value = bytes / 255 * scale. */
  bytes: Uint8Array;
  /** [head, query] flat. */
  scale: Float32Array;
  /** Patches that draw attention from all tokens, as tokens. */
  sinks: number[];
}

/** Above this length whole matrices are too heavy: rows come with each click instead. */
export const STREAMED_TOKENS = 600;

/** Rows of tokens that were looked at are kept up to so many bytes. */
const KEPT_BYTES = 32e6;

/** What the cache follows: the model, the rows that the kernel sends, and what is looked at. */
export interface Source {
  readonly info: ReadonlySignal<ModelInfo | null>;
  readonly kernelRows: ReadonlySignal<Rows | null>;
  readonly traits: {
    [K in "direction" | "selected_layer" | "selected_token" | "_version"]: ReadonlySignal<
      Traits[K]
    >;
  };
  readonly requests: Requests;
}

export class AttentionCache {
  /** Grows when a layer arrives or the cache is dropped; reading it subscribes a view. */
  readonly filled: Signal<number> = signal(0);
  private readonly layers = new Map<number, Layer>();
  /** Sinks are so in another layer too: once may be what is in the picture. */
  private readonly allSinks = computed(() => {
    this.filled.value;
    const layers = [...this.layers];
    const twice = (sink: number) => layers.filter(([, l]) => l.sinks.includes(sink)).length > 1;
    return new Map(layers.map(([layer, { sinks }]) => [layer, sinks.filter(twice)]));
  });
  /** By token and direction, the longest unused first: of all layers, or in parts that come one by one. */
  private readonly rows = new Map<string, Rows[]>();
  /** Which part was asked for last. */
  private asked = "";
  private abort = new AbortController();

  constructor(
    private readonly source: Source,
    signal_: AbortSignal,
  ) {
    const stop = effect(() => {
      if (source.traits._version.value > 0) this.restart();
    });
    const stopRows = effect(() => {
      const rows = source.kernelRows.value;
      if (rows) this.keep(rows);
      else this.drop(); // another image or model is being looked at
    });
    const stopMore = effect(() => {
      this.filled.value;
      this.askForMore(source.traits.selected_token.value);
    });
    signal_.addEventListener("abort", () => {
      stop();
      stopMore();
      stopRows();
      this.abort.abort();
    });
  }

  /** Whether the attention of a token is at hand without asking the kernel; layers may still come. */
  has(token: number): boolean {
    this.filled.value;
    const info = this.source.info.value;
    if (!info) return false;
    return this.complete() || this.partsOf(token).length > 0;
  }

  /** Whether the attention of all layers is at hand. */
  complete(): boolean {
    this.filled.value;
    return this.layers.size === this.source.info.value?.num_layers;
  }

  /** Patches of a layer that draw attention from all tokens; none while that is not known. */
  sinks(layer: number): readonly number[] {
    return this.allSinks.value.get(layer) ?? [];
  }

  hasLayer(layer: number): boolean {
    this.filled.value;
    return this.layers.has(layer);
  }

  /**
   * Writes what `token` attends to (or is attended to by) in one head into `out`, [token] long.
   * Returns false where it is not known yet. Head -1 is the mean of the heads.
   */
  read(layer: number, head: number, token: number, out: Float32Array): boolean {
    this.filled.value;
    const info = this.source.info.value;
    if (!info) return false;
    if (head < 0) return this.mean(layer, token, out, info.num_heads[layer] ?? 0);
    const direction = this.source.traits.direction.value;
    const whole = this.layers.get(layer);
    const tokens = info.num_tokens;
    if (whole) {
      const base = head * tokens * tokens;
      if (direction === "attends_to") {
        const factor = (whole.scale[head * tokens + token] ?? 0) / 255;
        const row = base + token * tokens;
        for (let i = 0; i < tokens; i++) out[i] = (whole.bytes[row + i] ?? 0) * factor;
      } else {
        for (let i = 0; i < tokens; i++) {
          const factor = (whole.scale[head * tokens + i] ?? 0) / 255;
          out[i] = (whole.bytes[base + i * tokens + token] ?? 0) * factor;
        }
      }
      return true;
    }
    const rows = this.partsOf(token).find((part) => holds(part, layer));
    if (!rows || rows.tokens !== tokens) return false; // or of the image before
    const row = (layer - rows.firstLayer) * rows.heads + head;
    const factor = (rows.scale[row] ?? 0) / 255;
    for (let i = 0; i < tokens; i++) out[i] = (rows.bytes[row * tokens + i] ?? 0) * factor;
    return true;
  }

  /** The whole matrix of a head (-1: their mean), or null where it is not at hand. */
  matrix(layer: number, head: number): Matrix | null {
    this.filled.value;
    const info = this.source.info.value;
    const whole = this.layers.get(layer);
    if (!info || !whole) return null;
    const tokens = info.num_tokens;
    const values = new Float32Array(tokens * tokens);
    const count = info.num_heads[layer] ?? 0;
    const heads = head < 0 ? Array.from({ length: count }, (_, h) => h) : [head];
    for (const h of heads) {
      for (let query = 0; query < tokens; query++) {
        const factor = (whole.scale[h * tokens + query] ?? 0) / 255 / heads.length;
        const from = (h * tokens + query) * tokens;
        const to = query * tokens;
        for (let key = 0; key < tokens; key++) {
          values[to + key] = (values[to + key] ?? 0) + (whole.bytes[from + key] ?? 0) * factor;
        }
      }
    }
    return { values, tokens, prefix: info.prefix.length };
  }

  private mean(layer: number, token: number, out: Float32Array, heads: number): boolean {
    const one = new Float32Array(out.length);
    out.fill(0);
    for (let head = 0; head < heads; head++) {
      if (!this.read(layer, head, token, one)) return false;
      for (let i = 0; i < out.length; i++) out[i] = (out[i] ?? 0) + (one[i] ?? 0) / heads;
    }
    return true;
  }

  private partsOf(token: number): readonly Rows[] {
    const direction = this.source.traits.direction.value;
    const now = this.source.kernelRows.value;
    const kept = this.rows.get(`${token} ${direction}`) ?? [];
    const isKept = now?.token !== token || now.direction !== direction || kept.includes(now);
    return isKept ? kept : [now, ...kept];
  }

  /** Asks for the layers that did not come with a token's rows, those next to the selected one first. */
  private async askForMore(token: number): Promise<void> {
    const { info, traits, requests } = this.source;
    const [direction, version] = [traits.direction.value, traits._version.value];
    const parts = this.partsOf(token);
    const layers = info.peek()?.num_layers ?? 0;
    if (parts.length === 0 || this.complete()) return;
    const [layer] = Array.from({ length: layers }, (_, i) => i)
      .filter((i) => !parts.some((part) => holds(part, i)))
      .sort(
        (a, b) =>
          Math.abs(a - traits.selected_layer.peek()) - Math.abs(b - traits.selected_layer.peek()),
      );
    const asked = `${version} ${token} ${direction} ${layer}`;
    if (layer === undefined || asked === this.asked) return;
    this.asked = asked;
    try {
      const { buffer, meta } = await requests.ask(
        "more_rows",
        { token, direction, layer },
        this.abort.signal,
      );
      const rows = meta.version === traits._version.peek() ? rowsOf(decode(buffer)) : null;
      if (!rows) return;
      this.keep(rows);
      this.filled.value = this.filled.peek() + 1;
    } catch {
      return; // stale, closed or refused: these layers stay empty
    }
  }

  private keep(rows: Rows): void {
    const key = `${rows.token} ${rows.direction}`;
    const others = (this.rows.get(key) ?? []).filter((part) => !holds(part, rows.firstLayer));
    this.rows.delete(key);
    this.rows.set(key, [...others, rows]);
    const whole = (rows.bytes.length / rows.layers) * (this.source.info.peek()?.num_layers ?? 1);
    const most = Math.max(1, Math.floor(KEPT_BYTES / whole));
    for (const oldest of this.rows.keys()) {
      if (this.rows.size <= most) break;
      this.rows.delete(oldest);
    }
  }

  private drop(): void {
    this.abort.abort();
    this.layers.clear();
    this.rows.clear();
    this.filled.value = this.filled.peek() + 1;
  }

  private restart(): void {
    this.drop();
    this.abort = new AbortController();
    const rows = this.source.kernelRows.peek();
    if (rows) this.keep(rows); // they came before the version that they belong to
    const info = this.source.info.peek();
    if (info && info.num_tokens <= STREAMED_TOKENS) this.stream(info.num_layers, this.abort.signal);
  }

  /** The selected layer first, then the others, one at a time: a click's request is never stuck. */
  private async stream(count: number, signal_: AbortSignal): Promise<void> {
    const first = this.source.traits.selected_layer.peek();
    const order = [first, ...Array.from({ length: count }, (_, i) => i).filter((i) => i !== first)];
    for (const layer of order) {
      try {
        const { buffer, meta } = await this.source.requests.ask("attention", { layer }, signal_);
        if (signal_.aborted || meta.version !== this.source.traits._version.peek()) return;
        const { attention, scale } = decode(buffer).tensors;
        const { num_heads = [], num_tokens = 0, prefix = [] } = this.source.info.peek() ?? {};
        const shares = drawn(attention.data, scale.data, num_heads[layer] ?? 0, num_tokens);
        const sinks = sinksOf(shares, prefix.length);
        this.layers.set(layer, { bytes: attention.data, scale: scale.data, sinks });
        this.filled.value = this.filled.peek() + 1;
      } catch {
        return; // stale, closed or refused: the kernel still answers through `attention_rows`
      }
    }
  }
}

const holds = ({ firstLayer, layers }: Rows, layer: number) =>
  layer >= firstLayer && layer < firstLayer + layers;
