// Codes of pooled attention, and back, as in `vit_attention_widget/patterns/autoencoder.py`.

import type { Tensor } from "../../protocol/safetensors";
import { add, at, dot } from "../numbers";

export type Weights = Record<string, Tensor<Float32Array>>;

export function encoded(weights: Weights, vector: Float32Array): Float64Array {
  const levels = vector.map((each) => Math.round(each * 255) / 255);
  const centered = levels.map((each, i) => each - at(valuesOf(weights, "mean"), i));
  return sum(linear(weights, "down", centered), corrected(weights, "encoder", centered));
}

export function decoded(weights: Weights, code: Float32Array): Float64Array {
  const spread = valuesOf(weights, "spread");
  const scaled = code.map((each, i) => each / at(spread, i));
  const vector = sum(linear(weights, "up", code), corrected(weights, "decoder", scaled));
  return sum(vector, valuesOf(weights, "mean"));
}

/** What the small network adds. */
function corrected(weights: Weights, name: string, values: Float32Array): Float64Array {
  const inner = sum(
    linear(weights, `${name}.inner`, values),
    valuesOf(weights, `${name}.inner_bias`),
  );
  const hidden = Float32Array.from(inner, (each) => (each * (1 + erf(each / Math.SQRT2))) / 2);
  return sum(linear(weights, `${name}.outer`, hidden), valuesOf(weights, `${name}.outer_bias`));
}

const valuesOf = (weights: Weights, name: string) => (weights[name] as Tensor<Float32Array>).data;

/** Rows of a matrix times values. */
function linear(weights: Weights, name: string, values: Float32Array): Float64Array {
  const matrix = valuesOf(weights, name);
  const count = matrix.length / values.length;
  return Float64Array.from({ length: count }, (_, row) =>
    dot(matrix, row * values.length, values, 0, values.length),
  );
}

function sum(a: Float64Array, b: Float32Array | Float64Array): Float64Array {
  add(a, 0, b, 0, a.length);
  return a;
}

/** The error function by Abramowitz and Stegun's 7.1.26, to 1.5e-7. */
export function erf(x: number): number {
  const t = 1 / (1 + 0.3275911 * Math.abs(x));
  const terms = [1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592];
  const series = terms.reduce((value, term) => (value + term) * t, 0);
  return Math.sign(x) * (1 - series * Math.exp(-x * x));
}
