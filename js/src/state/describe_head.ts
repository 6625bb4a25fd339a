// A head with its importance, in a person's words.

import { type Importance, importanceAt, weightOf } from "./results";
import type { Store } from "./store";
import { headName, number, rank } from "./words";

/** "layer 2, head 0, importance 0.72, first of 36". */
export function describeHead(
  importance: Importance | null,
  layer: number,
  head: number,
  pruned: boolean,
): string {
  const name = headName(layer, head);
  if (pruned) return `${name}, pruned`;
  const value = importanceAt(importance, layer, head);
  if (!importance || !Number.isFinite(value)) {
    const guess = importance?.estimate?.[layer * importance.heads + head] ?? Number.NaN;
    const said = Number.isFinite(guess) ? `, gradient's estimate ${number(guess)}` : "";
    return `${name}, importance not known yet${said}`;
  }
  const falling = ranking(importance);
  const weight = weightOf(importance, value);
  const place = 1 + falling.findIndex((other) => other <= weight);
  return `${name}, importance ${number(value)}, ${rank(place, falling.length)}`;
}

/** The same of a head as it stands now; head -1 is the mean of the heads. */
export function headSays(store: Store, layer: number, head: number): string {
  if (head < 0) return headName(layer, head);
  return describeHead(store.importance.value, layer, head, store.pruned.value.has(layer, head));
}

const rankings = new WeakMap<Importance, Float32Array>();

/** All known values, the largest first; sorted once for all cells. */
function ranking(importance: Importance): Float32Array {
  const ranked = rankings.get(importance);
  if (ranked) return ranked;
  const finite = importance.values.filter(Number.isFinite);
  const falling = finite
    .map((value) => weightOf(importance, value))
    .sort()
    .reverse();
  rankings.set(importance, falling);
  return falling;
}
