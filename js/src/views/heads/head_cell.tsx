// One head of the accessible grid: a button over its picture, and its prune mark.

import type { Signal } from "@preact/signals";
import type { Head, ModelInfo } from "../../protocol/schema";
import { describeHead } from "../../state/describe_head";
import { type Importance, importanceAt } from "../../state/results";
import type { Store } from "../../state/store";
import type { Layout } from "./head_grid_paint";

/** Below this width the prune mark would cover the head: the tools above the grid do it. */
const SMALLEST_WITH_MARK = 44;

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
  const importance = store.importance.value;
  const chosen = selected_layer.value === layer && selected_head.value === head;
  const pruned = store.pruned.value.has(layer, head);
  return (
    <div
      role="gridcell"
      class={`vaw-cell${chosen ? " vaw-chosen" : ""}`}
      data-testid={`head-${layer}-${head}`}
      aria-label={describeHead(importance, layer, head, pruned)}
      aria-selected={chosen || store.brush.has(layer, head)}
      tabIndex={isStop ? 0 : -1}
      style={{
        left: `${layout.left + layer * layout.cellWidth}px`,
        top: `${layout.top + head * layout.cellHeight}px`,
        width: `${layout.thumbnail.width}px`,
        height: `${layout.cellHeight - 4}px`,
      }}
      aria-colindex={layer + 1}
      onFocusIn={() => {
        focus.value = [layer, head];
        store.hoveredHead.value = [layer, head];
      }}
      onPointerDown={(event) => {
        if (event.button !== 0) return;
        origin.current = [layer, head];
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
      {!pruned && info.metrics.length > 0 && isUnknown(importance, layer, head) && (
        <span class="vaw-shimmer" />
      )}
      {layout.cellWidth >= SMALLEST_WITH_MARK && (
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
