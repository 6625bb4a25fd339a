// Explainers, as in `vit_attention_widget/explainers/methods/`: [layer, patch] of each.

import { add, at, dot, relu, total } from "./numbers";
import type { Gradients } from "./passes";
import type { Trace } from "./trace";

type Method = (trace: Trace, gradients: Gradients) => Float32Array;

/** A layer's matrix [query, key] of all heads. */
type Fused = (layer: number) => Float64Array;

export const METHODS: Record<string, Method> = {
  daam,
  legrad,
  gmar: (trace, gradients) => chain(trace, (layer) => byWeight(trace, gradients, layer)),
  relevance: (trace, gradients) =>
    chain(trace, (layer) => fused(trace, layer, product(trace, gradients, layer, relu)), false),
  gradient_rollout: (trace, gradients) =>
    chain(trace, (layer) => fused(trace, layer, product(trace, gradients, layer)).map(relu)),
  gradcam,
  attention_gradient: (trace, gradients) =>
    firstRows(trace, (layer) => product(trace, gradients, layer, relu, 1)),
  rollout: (trace) => chain(trace, (layer) => fused(trace, layer, trace.attention(layer))),
  attention: (trace) => firstRows(trace, (layer) => trace.attention(layer)),
};

/** Attention times its gradient, [head, query, key], of the first queries. */
function product(
  trace: Trace,
  { heads_gradient: gradient }: Gradients,
  layer: number,
  after: (value: number) => number = (value) => value,
  queries = trace.size.tokens,
): Float32Array {
  const { heads, tokens, dim } = trace.size;
  const attention = trace.attention(layer);
  const products = new Float32Array(heads * queries * tokens);
  for (const head of trace.left[layer] ?? []) {
    const start = trace.start(layer, head);
    for (let query = 0; query < queries; query++) {
      const from = (head * tokens + query) * tokens;
      const to = (head * queries + query) * tokens;
      for (let key = 0; key < tokens; key++) {
        const moved = dot(gradient, start + query * dim, trace.forward.v, start + key * dim, dim);
        products[to + key] = after(at(attention, from + key) * moved);
      }
    }
  }
  return products;
}

/** The mean of [head, ...] over the heads that are left; 0 where none is. */
function fused({ left, size }: Trace, layer: number, weights: Float32Array): Float64Array {
  const count = weights.length / size.heads;
  const mean = new Float64Array(count);
  const here = left[layer] ?? [];
  for (const head of here) add(mean, 0, weights, head * count, count, 1 / here.length);
  return mean;
}

/** Heads weighted by the size of their attention's gradient. */
function byWeight(trace: Trace, { heads_gradient }: Gradients, layer: number): Float64Array {
  const { heads, tokens, dim } = trace.size;
  const { v } = trace.forward;
  const here = trace.left[layer] ?? [];
  const sizes = new Float64Array(heads);
  for (const head of here) {
    const start = trace.start(layer, head);
    for (let query = 0; query < tokens; query++) {
      for (let key = 0; key < tokens; key++) {
        const moved = dot(heads_gradient, start + query * dim, v, start + key * dim, dim);
        sizes[head] = at(sizes, head) + Math.abs(moved);
      }
    }
  }
  const all = total(sizes);
  const mean = new Float64Array(tokens * tokens);
  for (const head of here) {
    const weight = all > 0 ? at(sizes, head) / all : 1 / here.length;
    add(mean, 0, trace.attention(layer), head * tokens * tokens, tokens * tokens, weight);
  }
  return mean;
}

/** Class-token rows of R_l = rownorm(A_l + I) R_(l-1): see `explainers/methods/rollout.py`. */
function chain({ size }: Trace, matrix: Fused, normalize = true): Float32Array {
  const { layers, tokens } = size;
  let carried: Float64Array[] = []; // of layer l and those above
  for (let layer = layers - 1; layer >= 0; layer--) {
    const start = new Float64Array(tokens);
    start[0] = 1;
    const weights = matrix(layer);
    carried = [start, ...carried].map((row) => {
      const moved = new Float64Array(tokens);
      for (let query = 0; query < tokens; query++) {
        const sum = normalize ? total(weights, query * tokens, (query + 1) * tokens) + 1 : 1;
        const share = at(row, query) / sum;
        add(moved, 0, weights, query * tokens, tokens, share);
        moved[query] = at(moved, query) + share;
      }
      return moved;
    });
  }
  return patches(size.tokens, carried);
}

/** Of a layer's [head, query, key] the mean of the class token's rows. */
function firstRows(trace: Trace, weights: (layer: number) => Float32Array) {
  const { layers, tokens } = trace.size;
  const rows = Array.from({ length: layers }, (_, layer) =>
    fused(trace, layer, weights(layer)).subarray(0, tokens),
  );
  return patches(tokens, rows);
}

function daam(trace: Trace, { heads_gradient }: Gradients): Float32Array {
  const { layers, tokens, dim } = trace.size;
  const { v } = trace.forward;
  return accumulated(layers, tokens, (layer) => {
    const attention = trace.attention(layer);
    const row = new Float64Array(tokens);
    for (const head of trace.left[layer] ?? []) {
      const start = trace.start(layer, head);
      const alpha = heads_gradient.subarray(start, start + dim).map(relu);
      for (let key = 0; key < tokens; key++) {
        const weight = dot(alpha, 0, v, start + key * dim, dim);
        row[key] = at(row, key) + at(attention, head * tokens * tokens + key) * weight;
      }
    }
    return row.map(relu);
  });
}

function legrad(trace: Trace, { own_gradient }: Gradients): Float32Array {
  const { layers, heads, tokens, dim } = trace.size;
  const { v } = trace.forward;
  return accumulated(layers, tokens, (layer) => {
    const here = trace.left[layer] ?? [];
    const row = new Float64Array(tokens);
    for (const head of here) {
      const gradientStart = (layer * heads + head) * dim;
      const start = trace.start(layer, head);
      for (let key = 0; key < tokens; key++) {
        const moved = relu(dot(own_gradient, gradientStart, v, start + key * dim, dim));
        row[key] = at(row, key) + moved / here.length / tokens;
      }
    }
    return row;
  });
}

function gradcam({ size }: Trace, { normed, normed_gradient }: Gradients): Float32Array {
  const { layers, tokens, width } = size;
  const rows = Array.from({ length: layers }, (_, layer) => {
    const start = layer * tokens * width;
    const weights = new Float64Array(width);
    for (let token = 1; token < tokens; token++) {
      add(weights, 0, normed_gradient, start + token * width, width, 1 / (tokens - 1));
    }
    return Float64Array.from({ length: tokens }, (_, token) =>
      relu(dot(normed, start + token * width, weights, 0, width)),
    );
  });
  return patches(tokens, rows);
}

/** Maps that grow from layer to layer. */
function accumulated(layers: number, tokens: number, of: (layer: number) => Float64Array) {
  const sum = new Float64Array(tokens);
  const rows = Array.from({ length: layers }, (_, layer) => {
    add(sum, 0, of(layer), 0, tokens);
    return sum.slice();
  });
  return patches(tokens, rows);
}

/** Rows [layer][token] without the class token, [layer, patch]. */
function patches(tokens: number, rows: Float64Array[]): Float32Array {
  const values = new Float32Array(rows.length * (tokens - 1));
  rows.forEach((row, layer) => {
    values.set(row.subarray(1), layer * (tokens - 1));
  });
  return values;
}
