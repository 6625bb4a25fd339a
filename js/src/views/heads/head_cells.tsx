// The accessible grid over the canvas of heads: one button a head, and its prune mark.

import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import type { Head, ModelInfo } from "../../protocol/schema";
import { describeHead } from "../../state/describe_head";
import { type Importance, importanceAt } from "../../state/results";
import type { Store } from "../../state/store";
import { moved } from "../../ui/roving";
import type { Layout } from "./head_grid_paint";

/** Below this width the prune mark would cover the head: the tools above the grid do it. */
const SMALLEST_WITH_MARK = 44;

interface Props {
  store: Store;
  info: ModelInfo;
  layout: Layout;
}

export function HeadCells({ store, info, layout }: Props) {
  const { selected_layer, selected_head } = store.traits;
  const importance = store.importance.value;
  const focus = useSignal<readonly [number, number] | null>(null);
  const root = useRef<HTMLDivElement>(null);
  /** Where a brush began: under the pointer, or where Shift was pressed. */
  const origin = useRef<Head | null>(null);
  const wanted = focus.value ?? [selected_layer.value, Math.max(0, selected_head.value)];
  const layerAt = Math.min(wanted[0], info.num_layers - 1);
  const headAt = Math.max(0, Math.min(wanted[1], (info.num_heads[layerAt] ?? 1) - 1));
  const marks = layout.cellWidth >= SMALLEST_WITH_MARK;
  useEffect(() => {
    const release = () => {
      origin.current = null;
    };
    addEventListener("pointerup", release);
    return () => removeEventListener("pointerup", release);
  }, []);
  const onKey = (event: KeyboardEvent) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const onMark = (event.target as Element).matches(".vaw-prune");
    if (onMark && (event.key === "Enter" || event.key === " ")) return; // the button's own
    const rows = info.num_heads[layerAt] ?? 1;
    if (!event.shiftKey) origin.current = null;
    const to = moved(event.key, { row: headAt, col: layerAt }, rows, info.num_layers);
    if (to) {
      const head = Math.min(to.row, (info.num_heads[to.col] ?? 1) - 1);
      if (event.shiftKey) {
        origin.current ??= [layerAt, headAt];
        store.brush.span(origin.current, [to.col, head], info.num_heads);
      }
      focus.value = [to.col, head];
      root.current?.querySelector<HTMLElement>(`[data-testid="head-${to.col}-${head}"]`)?.focus();
    } else if (event.key === "Enter" || event.key === " ") {
      store.set({ selected_layer: layerAt, selected_head: headAt });
    } else if (event.key === "p") {
      store.togglePrunedChosen(layerAt, headAt);
    } else if (event.key === "Escape") {
      store.brush.clear();
      store.hoveredHead.value = null;
    } else return;
    event.preventDefault();
    event.stopPropagation();
  };
  const rows = Math.max(...info.num_heads);
  return (
    <div
      ref={root}
      class="vaw-heads-cells"
      role="grid"
      aria-label="heads by layer"
      aria-multiselectable="true"
      aria-rowcount={rows}
      aria-colcount={info.num_layers}
      onKeyDown={onKey}
      onPointerLeave={() => {
        store.hoveredHead.value = null;
      }}
      onBlur={() => {
        store.hoveredHead.value = null;
      }}
    >
      {Array.from({ length: rows }, (_, head) => (
        <div role="row" key={`row ${head}`} tabIndex={-1} aria-rowindex={head + 1}>
          {info.num_heads.map((count, layer) => {
            if (head >= count) return null;
            const chosen = selected_layer.value === layer && selected_head.value === head;
            const pruned = store.pruned.value.has(layer, head);
            return (
              <div
                role="gridcell"
                key={`layer ${info.num_layers} ${layer}`}
                class={`vaw-cell${chosen ? " vaw-chosen" : ""}`}
                data-testid={`head-${layer}-${head}`}
                aria-label={describeHead(importance, layer, head, pruned)}
                aria-selected={chosen || store.brush.has(layer, head)}
                tabIndex={layer === layerAt && head === headAt ? 0 : -1}
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
                  else store.set({ selected_layer: layer, selected_head: head });
                }}
              >
                {!pruned && info.metrics.length > 0 && isUnknown(importance, layer, head) && (
                  <span class="vaw-shimmer" />
                )}
                {marks && (
                  <button
                    type="button"
                    class="vaw-prune"
                    tabIndex={-1}
                    data-testid={`prune-${layer}-${head}`}
                    aria-label={pruned ? "put this head back" : "prune this head"}
                    title={pruned ? "put this head back (p)" : "prune this head (p)"}
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
          })}
        </div>
      ))}
    </div>
  );
}

function isUnknown(importance: Importance | null, layer: number, head: number): boolean {
  const known = importanceAt(importance, layer, head);
  const guess = importance?.estimate?.[layer * importance.heads + head] ?? Number.NaN;
  return !Number.isFinite(known) && !Number.isFinite(guess);
}
