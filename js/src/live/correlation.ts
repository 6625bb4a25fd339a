// Spearman's rank correlation of maps, as in `vit_attention_widget/statistics/ranks.py`.

import { at, dot, total } from "./numbers";

/** [map][map], rounded; null where a map is the same everywhere. */
export function rankCorrelation(maps: ArrayLike<number>[]): (number | null)[][] {
  const units = maps.map(unit);
  return units.map((a, i) =>
    units.map((b, j) => {
      if (!a || !b) return null;
      const r = i === j ? 1 : Math.min(1, Math.max(-1, dot(a, 0, b, 0, a.length)));
      return Math.round(r * 1e4) / 1e4;
    }),
  );
}

/** Ranks without their mean, of length 1; null where all are the same. */
function unit(values: ArrayLike<number>): Float64Array | null {
  const ranks = averageRanks(values);
  const mean = total(ranks) / ranks.length;
  const centered = ranks.map((rank) => rank - mean);
  const length = Math.sqrt(dot(centered, 0, centered, 0, centered.length));
  return length > 0 ? centered.map((each) => each / length) : null;
}

/** Equal values share the mean of their ranks. */
function averageRanks(values: ArrayLike<number>): Float64Array {
  const order = Array.from({ length: values.length }, (_, i) => i);
  order.sort((i, j) => at(values, i) - at(values, j));
  const ranks = new Float64Array(values.length);
  for (let first = 0; first < order.length; ) {
    let last = first;
    const value = at(values, at(order, first));
    while (last + 1 < order.length && at(values, at(order, last + 1)) === value) last += 1;
    for (let i = first; i <= last; i++) ranks[at(order, i)] = (first + last) / 2 + 1;
    first = last + 1;
  }
  return ranks;
}
