// The step of a tour: what it says on this model, what it selects, and whether it was done.

import type { TourStep } from "../protocol/schema";
import type { Selected } from "../protocol/traits";
import type { Store } from "./store";
import { headName, number, output, percent } from "./words";

export function tourStep(store: Store): TourStep | null {
  const index = store.traits.tour_step.value ?? -1;
  return store.traits._tour.value?.[index] ?? null;
}

/** Select what a step begins with. */
export function begin(store: Store, { select }: TourStep): void {
  const { pruned_heads, ...others } = select as Partial<Selected>;
  if (Object.keys(others).length > 0) store.set(others);
  const pruned = store.traits.pruned_heads.peek();
  if (pruned_heads && JSON.stringify(pruned_heads) !== JSON.stringify(pruned)) {
    store.prune(pruned_heads);
  }
}

/** What a step waits for, as it is now; reading it subscribes a view. */
export function waitedFor(store: Store, { waits_for }: TourStep): string {
  return JSON.stringify(waits_for.map((name) => store.traits[name as keyof Selected]?.value));
}

/** A text of a step with its words in braces filled in; what is not known yet becomes "…". */
export function filled(store: Store, text: string, sinks: string | null): string {
  const info = store.info.value;
  const decision = store.decision.value;
  if (!info) return text;
  const said = (value: number | null | undefined) => {
    if (value === null || value === undefined) return "…";
    return info.output === "value" || !info.by_class ? number(value) : percent(value);
  };
  const best = mostImportant(store);
  const words: Record<string, string> = {
    class: decision?.target_name ?? "the class",
    now: said(decision?.target_after ?? decision?.target_before),
    before: said(decision?.target_before),
    head: best ? headName(best.layer, best.head) : "…",
    drop: best ? output(info, best.value) : "…",
    patches: `${info.rows * info.cols}`,
    layers: `${info.num_layers}`,
    model: info.name,
    sinks: sinks ?? "none",
  };
  return text.replace(/\{(\w+)\}/g, (braces, name: string) => words[name] ?? braces);
}

function mostImportant(store: Store) {
  const importance = store.importanceHere.value;
  if (!importance) return null;
  let best = -1;
  importance.values.forEach((value, i) => {
    if (Number.isFinite(value) && !(value <= (importance.values[best] ?? Number.NEGATIVE_INFINITY)))
      best = i;
  });
  if (best < 0) return null;
  const { heads, values } = importance;
  return { layer: Math.floor(best / heads), head: best % heads, value: values[best] ?? Number.NaN };
}
