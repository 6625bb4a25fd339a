// One head of the accessible grid: a button over its picture, and its prune mark.

import { type Signal, useComputed } from "@preact/signals";
import type { Head, ModelInfo } from "../../protocol/schema";
import { headSays } from "../../state/describe_head";
import { type Importance, importanceAt } from "../../state/results";
import type { Store } from "../../state/store";
import { type Layout, SMALLEST_WITH_MARK } from "./head_grid_layout";

interface Props {
  store: Store;
  info: ModelInfo;
  layout: Layout;
  layer: number;
  head: number;
  /** Whether it is the grid's tab stop. */
  isStop: boolean;
  focus: Signal<Head | null>;
  /** Where a brush began. */
  origin: { current: Head | null };
}

export function HeadCell({ store, info, layout, layer, head, isStop, focus, origin }: Props) {
  const { selected_layer, selected_head } = store.traits;
  // Drawn again only where something of this head changes: there may be a thousand of them.
  const chosen = useComputed(() => selected_layer.value === layer && selected_head.value === head);
  const brushed = useComputed(() => store.brush.has(layer, head));
  const isPruned = useComputed(() => store.pruned.value.has(layer, head));
  const label = useComputed(() => headSays(store, layer, head));
  const unknown = useComputed(() => isUnknown(store.importance.value, layer, head));
  const pruned = isPruned.value;
  const isLarge = layout.cellWidth >= SMALLEST_WITH_MARK;
  return (
    <div
      role="gridcell"
      class={`vaw-cell${chosen.value ? " vaw-chosen" : ""}`}
      data-testid={`head-${layer}-${head}`}
      aria-label={label.value}
      aria-selected={chosen.value || brushed.value}
      tabIndex={isStop ? 0 : -1}
      style={{
        left: `${layout.left + layer * layout.cellWidth}px`,
        top: `${layout.top + head * layout.cellHeight}px`,
        width: `${layout.thumbnail.width}px`,
        height: `${layout.thumbnail.height + layout.bar.above + layout.bar.height}px`,
      }}
      aria-colindex={layer + 1}
      onFocusIn={() => {
        focus.value = [layer, head];
        store.hoveredHead.value = [layer, head];
      }}
      onPointerDown={(event) => {
        if (event.button !== 0) return;
        if (event.pointerType !== "touch") origin.current = [layer, head]; // a finger may swipe
        (event.target as Element).releasePointerCapture?.(event.pointerId);
        if (!event.shiftKey) store.brush.clear();
      }}
      onPointerEnter={(event) => {
        store.hoveredHead.value = [layer, head];
        if (event.buttons === 1 && origin.current)
          store.brush.span(origin.current, [layer, head], info.num_heads);
      }}
      onClick={(event) => {
        if (event.shiftKey) store.brush.toggle(layer, head);
        else store.set({ selected_layer: layer, selected_head: head, overlay: "attention" });
      }}
    >
      {isLarge && !pruned && info.metrics.length > 0 && unknown.value && (
        <span class="vaw-shimmer" />
      )}
      {isLarge && (
        <button
          type="button"
          class="vaw-prune"
          tabIndex={-1}
          data-testid={`prune-${layer}-${head}`}
          aria-label={pruned ? "put this head back" : "prune this head"}
          data-tip={pruned ? "put this head back (p)" : "prune this head (p)"}
          onClick={(event) => {
            event.stopPropagation();
            store.togglePruned(layer, head);
          }}
        >
          {pruned ? "+" : "×"}
        </button>
      )}
    </div>
  );
}

function isUnknown(importance: Importance | null, layer: number, head: number): boolean {
  const value = importanceAt(importance, layer, head);
  const guess = importance?.estimate?.[layer * importance.heads + head] ?? Number.NaN;
  return !Number.isFinite(value) && !Number.isFinite(guess);
}
