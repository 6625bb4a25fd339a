// How much heads matter, as in `vit_attention_widget/importance/`: each is masked, one at a time.

import type { Head } from "../protocol/schema";
import type { Network, Outcome } from "./network";
import { at, dot, logSoftmax, total } from "./numbers";
import type { Gradients } from "./passes";
import type { Trace } from "./trace";

/** By metric, [layer, head]; NaN where not known yet, or masked. */
export type Tables = Record<string, Float32Array>;

type Measure = (
  before: Outcome,
  after: Outcome,
  layer: number,
  target: number,
  width: number,
) => number;

const MEASURES: Record<string, Measure> = {
  probability: (before, after, _, target) =>
    Math.exp(at(logSoftmax(before.logits), target)) -
    Math.exp(at(logSoftmax(after.logits), target)),
  jsd: (before, after) => {
    const p = logSoftmax(before.logits);
    const q = logSoftmax(after.logits);
    const parts = p.map((each, i) => {
      const other = at(q, i);
      const middle = Math.log((Math.exp(each) + Math.exp(other)) / 2);
      return Math.exp(each) * (each - middle) + Math.exp(other) * (other - middle);
    });
    return Math.min(Math.LN2, Math.max(0, total(parts) / 2));
  },
  class_token_cosine: (before, after, layer, _, width) => {
    const from = layer * width;
    const [a, b] = [before.class_tokens, after.class_tokens];
    const lengths = dot(a, from, a, from, width) * dot(b, from, b, from, width);
    return 1 - dot(a, from, b, from, width) / Math.sqrt(lengths);
  },
  loss: (before, after, _, target) =>
    at(logSoftmax(before.logits), target) - at(logSoftmax(after.logits), target),
};

export function unknown({ size }: Trace, metrics: string[]): Tables {
  const table = () => new Float32Array(size.layers * size.heads).fill(Number.NaN);
  return Object.fromEntries(metrics.map((metric) => [metric, table()]));
}

/** The estimate by one backward pass, Michel et al. 2019. */
export function fillTaylor(tables: Tables, trace: Trace, { heads_gradient }: Gradients): void {
  const { layers, heads, tokens, dim } = trace.size;
  for (let layer = 0; layer < layers; layer++) {
    for (const head of trace.left[layer] ?? []) {
      const start = trace.start(layer, head);
      const moved = dot(trace.forward.heads, start, heads_gradient, start, tokens * dim);
      if (tables.taylor) tables.taylor[layer * heads + head] = Math.abs(moved);
    }
  }
}

/** Masks the heads of one layer in turn. */
export async function ablate(
  network: Network,
  trace: Trace,
  layer: number,
  target: number,
  tables: Tables,
): Promise<void> {
  const here = trace.left[layer] ?? [];
  if (here.length === 0) return;
  const without = here.map((head) => [...trace.masked, [layer, head] as Head]);
  const variants = without.map((masked) => ({ input: trace.input, masked }));
  const outcomes = await network.outcomes(variants);
  here.forEach((head, i) => {
    for (const [metric, measure] of Object.entries(MEASURES)) {
      const table = tables[metric];
      const value = measure(trace.forward, outcomes[i] as Outcome, layer, target, trace.size.width);
      if (table) table[layer * trace.size.heads + head] = value;
    }
  });
}
