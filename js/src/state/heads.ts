// Heads, each a layer and its number in it: all of a model in order, and sets of them.

import type { Head } from "../protocol/schema";

/** All heads, layer by layer. */
export function headsInOrder(numHeads: readonly number[]): Head[] {
  return numHeads.flatMap((count, layer) =>
    Array.from({ length: count }, (_, head): Head => [layer, head]),
  );
}

export function headCount(numHeads: readonly number[]): number {
  return numHeads.reduce((sum, count) => sum + count, 0);
}

/** A head as text, to tell elements and heads apart by. */
export const headKey = (layer: number, head: number) => `${layer}-${head}`;

export const isHead = ([layer, head]: Head, [otherLayer, otherHead]: Head) =>
  layer === otherLayer && head === otherHead;

/** Place of a head among others, -1 where it is none of them. */
export function placeAmong(heads: readonly Head[], head: Head): number {
  return heads.findIndex((other) => isHead(other, head));
}

export function withoutHead<H extends Head>(heads: readonly H[], head: Head): H[] {
  return heads.filter((other) => !isHead(other, head));
}

/** Heads of which one can ask whether a head is among them. */
export class HeadSet {
  private readonly keys: Set<string>;

  constructor(heads: readonly Head[]) {
    this.keys = new Set(heads.map(([layer, head]) => headKey(layer, head)));
  }

  has(layer: number, head: number): boolean {
    return this.keys.has(headKey(layer, head));
  }
}
