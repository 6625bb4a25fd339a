// Attention matrices of the layers, streamed in after the first paint and kept in the browser, so
// that hovering and clicking never wait for the kernel.

import { effect, type Signal, signal } from "@preact/signals";
import { decode } from "../wire/safetensors";
import type { Matrix } from "./matrix";
import type { Store } from "./store";

interface Layer {
  /** [head, query, key] flat: value = bytes / 255 * scale. */
  bytes: Uint8Array;
  /** [head, query] flat. */
  scale: Float32Array;
}

/** Above this length whole matrices are too heavy: rows come with each click instead. */
export const STREAMED_TOKENS = 600;

export class AttentionCache {
  /** Grows when a layer arrives or the cache is dropped; reading it subscribes a view. */
  readonly filled: Signal<number> = signal(0);
  private readonly layers = new Map<number, Layer>();
  private abort = new AbortController();

  constructor(
    private readonly store: Store,
    signal_: AbortSignal,
  ) {
    const stop = effect(() => {
      store.traits.version.value;
      if (store.info.value) this.restart();
    });
    signal_.addEventListener("abort", () => {
      stop();
      this.abort.abort();
    });
  }

  /** Whether the attention of a token is at hand in every layer without asking the kernel. */
  has(token: number): boolean {
    this.filled.value;
    const info = this.store.info.value;
    if (!info) return false;
    return this.layers.size === info.num_layers || this.store.kernelRows.value?.token === token;
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
    const info = this.store.info.value;
    if (!info) return false;
    if (head < 0) return this.mean(layer, token, out, info.num_heads[layer] ?? 0);
    const direction = this.store.traits.direction.value;
    const whole = this.layers.get(layer);
    const tokens = info.num_tokens;
    if (whole) {
      const base = head * tokens * tokens;
      if (direction === "looks_at") {
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
    const rows = this.store.kernelRows.value;
    if (!rows || rows.token !== token || rows.direction !== direction) return false;
    if (rows.tokens !== tokens) return false; // of the image before
    const at = layer * rows.heads + head;
    const factor = (rows.scale[at] ?? 0) / 255;
    for (let i = 0; i < tokens; i++) out[i] = (rows.bytes[at * tokens + i] ?? 0) * factor;
    return true;
  }

  /** The whole matrix of a head (-1: their mean), or null where it is not at hand. */
  matrix(layer: number, head: number): Matrix | null {
    this.filled.value;
    const info = this.store.info.value;
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

  private restart(): void {
    this.abort.abort();
    this.abort = new AbortController();
    this.layers.clear();
    this.filled.value = this.filled.peek() + 1;
    const info = this.store.info.peek();
    if (info && info.num_tokens <= STREAMED_TOKENS) this.stream(info.num_layers, this.abort.signal);
  }

  /** The selected layer first, then the others, one at a time: a click's request is never stuck. */
  private async stream(count: number, signal_: AbortSignal): Promise<void> {
    const first = this.store.traits.selected_layer.peek();
    const order = [first, ...Array.from({ length: count }, (_, i) => i).filter((i) => i !== first)];
    for (const layer of order) {
      try {
        const { buffers, meta } = await this.store.requests.ask("attention", { layer }, signal_);
        if (signal_.aborted || meta.version !== this.store.traits.version.peek()) return;
        const view = buffers[0];
        if (!view) return;
        const { tensors } = decode(view);
        if (!tensors.attention || !tensors.scale) return;
        this.layers.set(layer, {
          bytes: tensors.attention.data as Uint8Array,
          scale: tensors.scale.data as Float32Array,
        });
        this.filled.value = this.filled.peek() + 1;
      } catch {
        return; // stale, closed or refused: the kernel still answers through `attention_rows`
      }
    }
  }
}
