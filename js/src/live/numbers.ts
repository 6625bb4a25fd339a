// Loops over flat arrays, in double precision where sums are long.

export type Numbers = Float32Array | Float64Array;

export const at = (values: ArrayLike<number>, i: number) => values[i] as number;

/** Scalar product of n values of two arrays, from i and from j on. */
export function dot(a: Numbers, i: number, b: Numbers, j: number, n: number): number {
  let sum = 0;
  for (let d = 0; d < n; d++) sum += at(a, i + d) * at(b, j + d);
  return sum;
}

/** Adds n values, from `i` on and times a factor, to those of `sums` from `o` on. */
export function add(sums: Numbers, o: number, values: Numbers, i: number, n: number, factor = 1) {
  for (let d = 0; d < n; d++) sums[o + d] = at(sums, o + d) + factor * at(values, i + d);
}

export const relu = (value: number) => Math.max(0, value);

export function total(values: ArrayLike<number>, start = 0, end = values.length): number {
  let sum = 0;
  for (let i = start; i < end; i++) sum += at(values, i);
  return sum;
}

export function logSoftmax(logits: ArrayLike<number>): Float64Array {
  const wide = Float64Array.from(logits);
  const highest = Math.max(...wide);
  const rest = Math.log(total(wide.map((z) => Math.exp(z - highest)))) + highest;
  return wide.map((z) => z - rest);
}

export const softmax = (logits: ArrayLike<number>) => logSoftmax(logits).map(Math.exp);

/** Places of the largest values, the largest first. */
export function best(values: ArrayLike<number>, count: number): number[] {
  const places = Array.from({ length: values.length }, (_, i) => i);
  return places.sort((i, j) => at(values, j) - at(values, i)).slice(0, count);
}
