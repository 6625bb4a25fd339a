// The keys of a chart of heads: one tab stop, arrows walk over the heads, Enter selects, p prunes.

import type { Head } from "../protocol/traits";
import { describeHead } from "../state/describe_head";
import type { Store } from "../state/store";
import { headName } from "../state/words";

/** Attributes of the element that holds such a chart; its heads in the order of the arrows. */
export function headWalk(store: Store, heads: readonly Head[], said = describe) {
  const [layer, head] = shownHead(store);
  const at = heads.findIndex(([l, h]) => l === layer && h === head);
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const steps: Record<string, number> = {
      ArrowRight: at + 1,
      ArrowUp: at + 1,
      ArrowLeft: at - 1,
      ArrowDown: at - 1,
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
    event.preventDefault();
    event.stopPropagation();
  };
  return {
    role: "slider",
    tabIndex: 0,
    "aria-label": "heads",
    "aria-valuemin": 0,
    "aria-valuemax": heads.length - 1,
    "aria-valuenow": Math.max(0, at),
    "aria-valuetext": head < 0 ? headName(layer, head) : said(store, layer, head),
    onKeyDown,
    onBlur: () => {
      store.hoveredHead.value = null;
    },
  } as const;
}

/** The head under the pointer, or else the selected one. */
export function shownHead(store: Store): Head {
  const { selected_layer, selected_head } = store.traits;
  return store.hoveredHead.value ?? [selected_layer.value, selected_head.value];
}

function describe(store: Store, layer: number, head: number): string {
  const gone = store.traits.pruned_heads.value.some(([l, h]) => l === layer && h === head);
  return describeHead(store.importance.value, layer, head, gone);
}
