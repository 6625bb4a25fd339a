// Begins each step of a tour: selects what it begins with, opens its panel and brings it into sight.

import { type Signal, useSignal } from "@preact/signals";
import { useLayoutEffect } from "preact/hooks";
import type { Store } from "../../state/store";
import { begin, tourStep, waitedFor } from "../../state/tour";
import { openPanels, withOpen } from "./arrangement";

/** What the step waits for, as it was when the step began. */
export function useTour(store: Store, reveal: (panel: string) => () => void): Signal<string> {
  const begun = useSignal("");
  const step = tourStep(store);
  useLayoutEffect(() => {
    if (!step) return;
    begin(store, step);
    begun.value = waitedFor(store, step);
    const panels = openPanels(store);
    if (step.panel && !panels.includes(step.panel)) {
      store.set({ panels: withOpen(panels, step.panel) });
    }
    let end: (() => void) | undefined;
    const timer = setTimeout(() => {
      end = reveal(step.panel); // once the panel stands
    });
    return () => {
      clearTimeout(timer);
      end?.();
    };
  }, [store, step]);
  return begun;
}
