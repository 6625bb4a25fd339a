// What pruning did to the importance of the other heads: before and after, by the same metric.

import type { Head, ModelInfo } from "../protocol/schema";
import { HeadSet, headsInOrder } from "./heads";
import { type Importance, importanceAt, weightOf } from "./results";
import { headTable } from "./tables";

export interface Change {
  head: Head;
  before: number;
  after: number;
  /** By how much more it matters; NaN where it is not known yet, and of pruned heads. */
  growth: number;
}

export interface Changes {
  heads: Change[];
  /** Largest importance before or after: what growth is held against. */
  scale: number;
  /** Largest growth or fall. */
  most: number;
  /** Heads that are measured before and after; of so many that are not pruned. */
  measured: number;
  total: number;
  /** Heads that matter much and grew much: the one that grew most first. */
  takeOver: Change[];
}

/** Importance, and its growth, are much from this share of the largest importance on. */
const MUCH = 0.1;
const NAMED = 5;

export function changesOf(
  info: ModelInfo,
  before: Importance,
  after: Importance,
  pruned: readonly Head[],
): Changes {
  const masked = new HeadSet(pruned);
  const heads = headsInOrder(info.num_heads).map((head): Change => {
    const [was, is] = [importanceAt(before, ...head), importanceAt(after, ...head)];
    const growth = masked.has(...head) ? Number.NaN : weightOf(after, is) - weightOf(before, was);
    return { head, before: was, after: is, growth };
  });
  const finite = heads.filter(({ growth }) => Number.isFinite(growth));
  const largest = (values: number[]) => Math.max(1e-9, ...values.map(Math.abs));
  const scale = largest(finite.flatMap((change) => [change.before, change.after]));
  const much = (value: number) => value >= MUCH * scale;
  // What had an ill effect and has none now has not taken over.
  const grown = finite.filter(
    (change) => much(change.growth) && much(weightOf(after, change.after)),
  );
  return {
    heads,
    scale,
    most: largest(finite.map(({ growth }) => growth)),
    measured: finite.length,
    total: heads.length - pruned.length,
    takeOver: grown.sort((a, b) => b.growth - a.growth).slice(0, NAMED),
  };
}

export function changeTable(info: ModelInfo, { heads }: Changes, metric: string): string {
  const column = (of: (change: Change) => number) => (_layer: number, _head: number, i: number) =>
    of(heads[i] as Change);
  return headTable(info, {
    [`${metric} before`]: column(({ before }) => before),
    [`${metric} after`]: column(({ after }) => after),
    growth: column(({ growth }) => growth),
  });
}
