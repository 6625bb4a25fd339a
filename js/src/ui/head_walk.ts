// The keys of a chart of heads: one tab stop, arrows walk over the heads, Enter selects, p prunes.

import type { Head } from "../protocol/schema";
import { headSays } from "../state/describe_head";
import { placeAmong } from "../state/heads";
import type { Store } from "../state/store";
import { headName } from "../state/words";
import { consume, modified } from "./keys";

/** Attributes of the element that holds such a chart; its heads in the order of the arrows. */
export function headWalk(store: Store, heads: readonly Head[], said = headSays) {
  const [layer, head] = store.shownHead.value;
  const place = placeAmong(heads, [layer, head]);
  const onKeyDown = (event: KeyboardEvent) => {
    if (modified(event)) return;
    const steps: Record<string, number> = {
      ArrowRight: place + 1,
      ArrowUp: place + 1,
      ArrowLeft: place - 1,
      ArrowDown: place - 1,
      Home: 0,
      End: heads.length - 1,
    };
    const step = steps[event.key];
    if (step !== undefined) {
      store.hoveredHead.value = heads[Math.max(0, Math.min(heads.length - 1, step))] ?? null;
    } else if (event.key === "Enter" && head >= 0) {
      store.set({ selected_layer: layer, selected_head: head });
    } else if (event.key === "p") store.togglePrunedChosen(layer, head);
    else if (event.key === "Escape") {
      store.brush.clear();
      store.hoveredHead.value = null;
    } else return;
    consume(event);
  };
  return {
    role: "slider",
    tabIndex: 0,
    "aria-label": "heads",
    "aria-valuemin": 0,
    "aria-valuemax": heads.length - 1,
    "aria-valuenow": Math.max(0, place),
    "aria-valuetext": head < 0 ? headName(layer, head) : said(store, layer, head),
    onKeyDown,
    onBlur: () => {
      store.hoveredHead.value = null;
    },
  } as const;
}
