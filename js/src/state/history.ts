// Undo and redo of the pruned heads. The history belongs to the session, so that linked widgets undo
// as one; here it moves at once, and goes to the kernel as it then is.

import type { Head, PruningHistory } from "../protocol/schema";
import { HeadSet } from "./heads";

/** Steps that are remembered, as in `session/history.py`. */
const MOST_STEPS = 100;

/** Another set of heads is pruned. */
export function stepped({ pruned, undo }: PruningHistory, heads: readonly Head[]): PruningHistory {
  const step = toggled(pruned, heads);
  return { pruned: toggled([], heads), undo: [...undo, step].slice(-MOST_STEPS), redo: [] };
}

/** The last step is taken back; null where there is none. */
export function undone({ pruned, undo, redo }: PruningHistory): PruningHistory | null {
  const step = undo.at(-1);
  if (!step) return null;
  return { pruned: toggled(pruned, step), undo: undo.slice(0, -1), redo: [...redo, step] };
}

/** What was undone last is done again; null where nothing was. */
export function redone({ pruned, undo, redo }: PruningHistory): PruningHistory | null {
  const step = redo.at(-1);
  if (!step) return null;
  return { pruned: toggled(pruned, step), undo: [...undo, step], redo: redo.slice(0, -1) };
}

/** The heads without those of the step that are among them, and with the others; in order. */
function toggled(heads: readonly Head[], step: readonly Head[]): Head[] {
  const [before, change] = [new HeadSet(heads), new HeadSet(step)];
  const kept = heads.filter(([layer, head]) => !change.has(layer, head));
  const added = step.filter(([layer, head]) => !before.has(layer, head));
  return [...kept, ...added].sort((a, b) => a[0] - b[0] || a[1] - b[1]);
}
