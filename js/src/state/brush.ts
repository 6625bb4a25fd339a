// Several heads chosen at once: by dragging over them, or one by one.

import { computed, type ReadonlySignal, type Signal, signal } from "@preact/signals";
import type { Head } from "../protocol/traits";

export class Brush {
  readonly heads: Signal<Head[]> = signal([]);

  private readonly keys: ReadonlySignal<Set<string>> = computed(
    () => new Set(this.heads.value.map(([l, h]) => `${l}-${h}`)),
  );

  has(layer: number, head: number): boolean {
    return this.keys.value.has(`${layer}-${head}`);
  }

  toggle(layer: number, head: number): void {
    const others = this.heads.value.filter(([l, h]) => l !== layer || h !== head);
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
