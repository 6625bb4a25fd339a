// New codes among those of a map, as in `vit_attention_widget/patterns/layout.py`.

import { at } from "../numbers";

const NEAREST = 5;

export interface Learned {
  /** [point, dim] */
  codes: Float32Array;
  /** [point, 2] */
  points: Float32Array;
  /** Cluster of each point. */
  labels: Uint8Array;
}

/** Between the points with the most similar codes, weighted by similarity. */
export function placed({ codes, points, labels }: Learned, code: ArrayLike<number>) {
  const dim = code.length;
  const distances = Float64Array.from({ length: codes.length / dim }, (_, point) => {
    let squares = 0;
    for (let d = 0; d < dim; d++) squares += (at(codes, point * dim + d) - at(code, d)) ** 2;
    return squares;
  });
  const order = Array.from(distances, (_, point) => point);
  const near = order.sort((a, b) => at(distances, a) - at(distances, b)).slice(0, NEAREST);
  let [x, y, weights] = [0, 0, 0];
  for (const point of near) {
    const weight = 1 / (at(distances, point) + 1e-12);
    x += weight * at(points, 2 * point);
    y += weight * at(points, 2 * point + 1);
    weights += weight;
  }
  return { x: x / weights, y: y / weights, label: at(labels, near[0] ?? 0) };
}
