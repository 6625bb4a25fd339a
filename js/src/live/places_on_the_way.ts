// Where on the way from the mean color to a picture gradients are taken, as in
// `vit_attention_widget/explainers/places_on_the_way.py`: close where the target changes fast.

import { at, total } from "./numbers";

const PARTS = 16;
const POWER = 2;
/** So much of the places is spread evenly, whatever the target does. */
const EVENLY = 0.1;
const CUTS = 8;
/** Places and weights of Gauss-Legendre quadrature between -1 and 1, as many as a cut has. */
const POINTS = [-0.8611363115940526, -0.3399810435848563, 0.3399810435848563, 0.8611363115940526];
const WEIGHTS = [0.34785484513745385, 0.6521451548625461, 0.6521451548625461, 0.34785484513745385];

/** Where the target is looked at to find the places: from 0 to 1, closest near the mean color. */
export const PILOT_PLACES = Array.from({ length: PARTS + 1 }, (_, i) => (i / PARTS) ** POWER);

export interface Place {
  place: number;
  /** Of the integral. */
  share: number;
}

/** 32 places by the target's values at the pilot places; their shares sum to 1. */
export function placesAndShares(scores: ArrayLike<number>): Place[] {
  const changes = PILOT_PLACES.slice(1).map((_, i) =>
    Math.sqrt(Math.abs(at(scores, i + 1) - at(scores, i))),
  );
  const all = total(changes);
  const passed = [0];
  for (const change of changes) {
    passed.push(at(passed, passed.length - 1) + (all > 0 ? change / all : 0) + EVENLY / PARTS);
  }
  const whole = at(passed, PARTS);
  const edges = Array.from({ length: CUTS + 1 }, (_, i) => {
    return interpolated((i / CUTS) * whole, passed, PILOT_PLACES);
  });
  return edges.slice(1).flatMap((end, i) => {
    const start = at(edges, i);
    return POINTS.map((point, p) => ({
      place: start + ((end - start) * (point + 1)) / 2,
      share: ((end - start) * at(WEIGHTS, p)) / 2,
    }));
  });
}

/** y at x, between the points (xs, ys); xs grow. */
function interpolated(x: number, xs: number[], ys: number[]): number {
  const next = xs.findIndex((each) => each >= x);
  if (next <= 0) return at(ys, next === 0 ? 0 : ys.length - 1);
  const part = (x - at(xs, next - 1)) / (at(xs, next) - at(xs, next - 1));
  return at(ys, next - 1) + part * (at(ys, next) - at(ys, next - 1));
}
