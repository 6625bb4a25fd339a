// The keys of a chart of heads: one tab stop, arrows walk over the heads, Enter selects, p prunes.

import type { Store } from "../state/store";
import type { Head } from "../state/traits";
import { describeHead } from "./head_cells";

/** Attributes of the element that holds such a chart; its heads in the order of the arrows. */
export function headWalk(store: Store, heads: readonly Head[], said = describe) {
  const [layer, head] = shownHead(store);
  const at = Math.max(
    0,
    heads.findIndex(([l, h]) => l === layer && h === head),
  );
  const onKeyDown = (event: KeyboardEvent) => {
    const by = event.key === "ArrowRight" ? 1 : event.key === "ArrowLeft" ? -1 : 0;
    const to = heads[Math.max(0, Math.min(heads.length - 1, at + by))];
    if (!to) return;
    if (by !== 0) store.hoveredHead.value = to;
    else if (event.key === "Enter") store.set({ selected_layer: to[0], selected_head: to[1] });
    else if (event.key === "p") {
      if (store.brush.heads.peek().length > 0) store.togglePrunedBrush();
      else store.togglePruned(...to);
    } else if (event.key === "Escape") {
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
    "aria-valuenow": at,
    "aria-valuetext": said(store, layer, head),
    onKeyDown,
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
