// One pass of the model over a picture with some heads masked, as it was recorded, and what follows
// from it. Tensors are flat, in the order that their comments say; the class token comes first.

import type { Head } from "../protocol/schema";
import type { Network } from "./network";
import { at, dot } from "./numbers";
import type { Forward, Gradients, Size } from "./passes";

export class Trace {
  /** By layer: the heads that are not masked. */
  readonly left: number[][];
  private readonly known = new Map<number, Float32Array>();
  private readonly gradients = new Map<number, Promise<Gradients>>();

  constructor(
    private readonly network: Network,
    readonly size: Size,
    readonly input: Float32Array,
    readonly masked: readonly Head[],
    readonly forward: Forward,
  ) {
    const names = new Set(masked.map(String));
    this.left = Array.from({ length: size.layers }, (_, layer) =>
      Array.from({ length: size.heads }, (_, head) => head).filter(
        (head) => !names.has(`${layer},${head}`),
      ),
    );
  }

  /** Where the [token, dim] of a head begin. */
  start(layer: number, head: number): number {
    const { heads, tokens, dim } = this.size;
    return (layer * heads + head) * tokens * dim;
  }

  /** Attention of a layer, [head, query, key]. */
  attention(layer: number): Float32Array {
    const kept = this.known.get(layer);
    if (kept) return kept;
    const { heads, tokens, dim } = this.size;
    const { q, k } = this.forward;
    const weights = new Float32Array(heads * tokens * tokens);
    const row = new Float64Array(tokens);
    for (let head = 0; head < heads; head++) {
      const start = this.start(layer, head);
      for (let query = 0; query < tokens; query++) {
        let highest = Number.NEGATIVE_INFINITY;
        for (let key = 0; key < tokens; key++) {
          const score = dot(q, start + query * dim, k, start + key * dim, dim) / Math.sqrt(dim);
          row[key] = score;
          if (score > highest) highest = score;
        }
        let sum = 0;
        for (let key = 0; key < tokens; key++) {
          const weight = Math.exp(at(row, key) - highest);
          row[key] = weight;
          sum += weight;
        }
        const to = (head * tokens + query) * tokens;
        for (let key = 0; key < tokens; key++) weights[to + key] = at(row, key) / sum;
      }
    }
    this.known.set(layer, weights);
    return weights;
  }

  /** Gradients of a class's logit, computed when they are first asked for. */
  gradientsOf(target: number): Promise<Gradients> {
    const kept = this.gradients.get(target);
    if (kept) return kept;
    const asked = this.network.gradients(this.input, this.masked, target);
    this.gradients.set(target, asked);
    asked.catch(() => this.gradients.delete(target));
    return asked;
  }
}
