// Insertion and deletion (RISE) of a map, as in `vit_attention_widget/evaluation/perturbation.py`.

import { blurred, inOrder, withHidden } from "./hidden_patches";
import type { Network } from "./network";
import { at, softmax } from "./numbers";
import type { Trace } from "./trace";
import type { Step } from "./turn";

const STEPS = 10;
const AT_ONCE = 4;
/** Of the blur, in patches. */
const SIGMA = 1.5;

export const FRACTIONS = Array.from({ length: STEPS + 1 }, (_, k) => k / STEPS);

/** Probability of the class at each of the fractions. */
export interface Curves {
  insertion: number[];
  deletion: number[];
}

/** The curves of a map [patch]; `shuffled` is the order of patches of equal value. */
export async function insertionAndDeletion(
  network: Network,
  trace: Trace,
  target: number,
  map: ArrayLike<number>,
  shuffled: readonly number[],
  step: Step,
): Promise<Curves> {
  const { input, masked, size } = trace;
  const order = inOrder(map, shuffled);
  const counts = FRACTIONS.map((fraction) => Math.round(fraction * order.length));
  const blur = blurred(input, (SIGMA * Math.sqrt(input.length / 3)) / size.cols);
  const nothing = new Float32Array(input.length);
  const inputs = [
    ...counts.map((n) => withHidden(input, order.slice(n), blur, size)),
    ...counts.map((n) => withHidden(input, order.slice(0, n), nothing, size)),
  ];
  const values: number[] = [];
  for (let start = 0; start < inputs.length; start += AT_ONCE) {
    step(start / inputs.length);
    const part = inputs.slice(start, start + AT_ONCE).map((each) => ({ input: each, masked }));
    for (const { logits } of await network.outcomes(part)) {
      values.push(at(softmax(logits), target));
    }
  }
  return { insertion: values.slice(0, counts.length), deletion: values.slice(counts.length) };
}

/** The mean height of a curve over equal steps, by the trapezoidal rule. */
export function area(curve: readonly number[]): number {
  const last = curve.length - 1;
  let sum = 0;
  for (let k = 1; k <= last; k++) sum += (at(curve, k - 1) + at(curve, k)) / 2;
  return sum / last;
}

/** What knows nothing of the model: a Gaussian at the center of the picture. */
export function center(rows: number, cols: number, sigma = 0.25): Float32Array {
  const from = (i: number, n: number) => (2 * i + 1 - n) / (2 * n);
  return Float32Array.from({ length: rows * cols }, (_, patch) => {
    const [u, v] = [from(Math.floor(patch / cols), rows), from(patch % cols, cols)];
    return Math.exp(-(u ** 2 + v ** 2) / (2 * sigma ** 2));
  });
}
