// Several heads chosen at once: by dragging over them, or one by one.

import { computed, type ReadonlySignal, type Signal, signal } from "@preact/signals";
import type { Head } from "../protocol/schema";
import { HeadSet, withoutHead } from "./heads";

export class Brush {
  readonly heads: Signal<Head[]> = signal([]);

  private readonly set: ReadonlySignal<HeadSet> = computed(() => new HeadSet(this.heads.value));

  has(layer: number, head: number): boolean {
    return this.set.value.has(layer, head);
  }

  toggle(layer: number, head: number): void {
    const others = withoutHead(this.heads.value, [layer, head]);
    this.heads.value =
      others.length < this.heads.value.length ? others : [...others, [layer, head]];
  }

  /** All heads in the rectangle between two of them. */
  span([fromLayer, fromHead]: Head, [toLayer, toHead]: Head, counts: number[]): void {
    const heads: Head[] = [];
    for (let l = Math.min(fromLayer, toLayer); l <= Math.max(fromLayer, toLayer); l++)
      for (let h = Math.min(fromHead, toHead); h <= Math.max(fromHead, toHead); h++)
        if (h < (counts[l] ?? 0)) heads.push([l, h]);
    this.heads.value = heads;
  }

  clear(): void {
    if (this.heads.peek().length > 0) this.heads.value = [];
  }
}
