// Undo and redo of pruning and of what is selected. The history belongs to the session, so that linked
// widgets undo as one; here it moves at once, and goes to the kernel as it then is.

import {
  type Head,
  MOST_STEPS,
  type Selections,
  type Step,
  type StepHistory,
  UNDONE,
} from "../protocol/schema";
import { HeadSet } from "./heads";

/** Selections that follow each other as fast, as in a walk by arrow keys, are one step. */
const WALK_MS = 1000;

/** Selections of a step, by name. */
export type Chosen = Partial<Pick<Selections, (typeof UNDONE)[number]>>;

/** Where a step leads: the history then, and what is selected with it. */
export interface Move {
  history: StepHistory;
  chosen: Chosen;
}

/** Another set of heads is pruned. */
export function stepped({ pruned, undo }: StepHistory, heads: readonly Head[]): StepHistory {
  const step = toggled(pruned, heads);
  return { pruned: toggled([], heads), undo: [...undo, step].slice(-MOST_STEPS), redo: [] };
}

/** Makes steps of what a person selects. */
export class Walk {
  private names = "";
  private last = Number.NEGATIVE_INFINITY;

  /** The history with a step, or null where nothing is new or the last step goes on. */
  chose(history: StepHistory, now: Chosen, changes: Chosen, time: number): StepHistory | null {
    const names = UNDONE.filter((name) => name in changes && changes[name] !== now[name]);
    if (names.length === 0) return null;
    const goesOn = `${names}` === this.names && time - this.last < WALK_MS;
    this.last = time;
    this.names = `${names}`;
    if (goesOn && isChoice(history.undo.at(-1)) && history.redo.length === 0) return null;
    const step = Object.fromEntries(names.map((name) => [name, now[name] ?? null]));
    return { ...history, undo: [...history.undo, step].slice(-MOST_STEPS), redo: [] };
  }

  /** What is selected next is a step of its own. */
  end(): void {
    this.names = "";
  }
}

/** The last step is taken back; null where there is none. `now` is what is selected. */
export function undone(history: StepHistory, now: Chosen): Move | null {
  const step = history.undo.at(-1);
  if (!step) return null;
  const { pruned, back, chosen } = taken(history.pruned, step, now);
  const undo = history.undo.slice(0, -1);
  return { history: { pruned, undo, redo: [...history.redo, back] }, chosen };
}

/** What was undone last is done again; null where nothing was. */
export function redone(history: StepHistory, now: Chosen): Move | null {
  const step = history.redo.at(-1);
  if (!step) return null;
  const { pruned, back, chosen } = taken(history.pruned, step, now);
  const redo = history.redo.slice(0, -1);
  return { history: { pruned, undo: [...history.undo, back], redo }, chosen };
}

const isChoice = (step: Step | undefined): step is Record<string, number | string | null> =>
  step !== undefined && !Array.isArray(step);

/** A step, taken, and the one that leads back. */
function taken(pruned: Head[], step: Step, now: Chosen) {
  if (!isChoice(step)) return { pruned: toggled(pruned, step), back: step, chosen: {} };
  const names = UNDONE.filter((name) => name in step);
  const back = Object.fromEntries(names.map((name) => [name, now[name] ?? null]));
  return { pruned, back, chosen: step as Chosen };
}

/** The heads without those of the step that are among them, and with the others; in order. */
function toggled(heads: readonly Head[], step: readonly Head[]): Head[] {
  const [before, change] = [new HeadSet(heads), new HeadSet(step)];
  const kept = heads.filter(([layer, head]) => !change.has(layer, head));
  const added = step.filter(([layer, head]) => !before.has(layer, head));
  return [...kept, ...added].sort((a, b) => a[0] - b[0] || a[1] - b[1]);
}
