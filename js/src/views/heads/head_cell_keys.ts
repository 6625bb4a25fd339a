// The keys of the grid of heads: arrows walk, Shift brushes, Enter selects, p prunes.

import type { Signal } from "@preact/signals";
import type { Head, ModelInfo } from "../../protocol/schema";
import type { Store } from "../../state/store";
import { consume, modified } from "../../ui/keys";
import { moved } from "../../ui/roving";

interface Grid {
  store: Store;
  info: ModelInfo;
  /** The head that is the grid's tab stop. */
  stop: Head;
  /** The head that has, or had, the focus. */
  focus: Signal<Head | null>;
  /** Where a brush began: under the pointer, or where Shift was pressed. */
  origin: { current: Head | null };
  /** Moves the focus to a head. */
  walk: (to: Head) => void;
}

export function cellKeys({ store, info, stop, focus, origin, walk }: Grid) {
  const [layer, head] = stop;
  const walkTo = (nextLayer: number, row: number, brushes: boolean) => {
    const nextHead = Math.min(row, (info.num_heads[nextLayer] ?? 1) - 1);
    if (brushes) {
      origin.current ??= [layer, head];
      store.brush.span(origin.current, [nextLayer, nextHead], info.num_heads);
    }
    focus.value = [nextLayer, nextHead];
    walk([nextLayer, nextHead]);
  };
  return (event: KeyboardEvent) => {
    if (modified(event)) return;
    const onMark = (event.target as Element).matches(".vaw-prune");
    if (onMark && (event.key === "Enter" || event.key === " ")) return; // the button's own
    const rows = info.num_heads[layer] ?? 1;
    if (!event.shiftKey) origin.current = null;
    const next = moved(event.key, { row: head, col: layer }, rows, info.num_layers);
    if (next) walkTo(next.col, next.row, event.shiftKey);
    else if (event.key === "Enter" || event.key === " ") {
      store.set({ selected_layer: layer, selected_head: head, overlay: "attention" });
    } else if (event.key === "p") {
      store.togglePrunedChosen(layer, head);
    } else if (event.key === "Escape") {
      store.brush.clear();
      store.hoveredHead.value = null;
    } else return;
    consume(event);
  };
}
