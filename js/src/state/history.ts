// Undo and redo of the pruned set.

import { type ReadonlySignal, signal } from "@preact/signals";
import type { Head } from "../protocol/schema";

type Pruned = readonly Head[];

export class History {
  private readonly past = signal<Pruned[]>([]);
  private readonly future = signal<Pruned[]>([]);

  constructor(private readonly apply: (pruned: Pruned) => void) {}

  get undoable(): ReadonlySignal<Pruned[]> {
    return this.past;
  }

  get redoable(): ReadonlySignal<Pruned[]> {
    return this.future;
  }

  /** Remember the set before a change. */
  push(before: Pruned): void {
    this.past.value = [...this.past.value, before];
    this.future.value = [];
  }

  /** Another model has other heads. */
  clear(): void {
    this.past.value = [];
    this.future.value = [];
  }

  undo(now: Pruned): void {
    const last = this.past.value.at(-1);
    if (last === undefined) return;
    this.past.value = this.past.value.slice(0, -1);
    this.future.value = [...this.future.value, now];
    this.apply(last);
  }

  redo(now: Pruned): void {
    const next = this.future.value.at(-1);
    if (next === undefined) return;
    this.future.value = this.future.value.slice(0, -1);
    this.past.value = [...this.past.value, now];
    this.apply(next);
  }
}
