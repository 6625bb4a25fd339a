// The accessible grid over the canvas of heads: one button a head, and its prune mark.

import { useSignal } from "@preact/signals";
import { useRef } from "preact/hooks";
import { moved } from "../a11y/roving";
import { type Importance, importanceAt } from "../state/results";
import type { Store } from "../state/store";
import type { Head, ModelInfo } from "../state/traits";
import { number, rank } from "../state/words";
import type { Layout } from "./head_grid_paint";

/** "layer 2, head 0, importance 0.72, first of 36". */
export function describeHead(
  importance: Importance | null,
  layer: number,
  head: number,
  pruned: boolean,
): string {
  const name = `layer ${layer}, head ${head}`;
  if (pruned) return `${name}, pruned`;
  const value = importanceAt(importance, layer, head);
  if (!importance || !Number.isFinite(value)) {
    const guess = importance?.estimate?.[layer * importance.heads + head] ?? Number.NaN;
    const said = Number.isFinite(guess) ? `, gradient's estimate ${number(guess)}` : "";
    return `${name}, importance not known yet${said}`;
  }
  const known = Array.from(importance.values).filter(Number.isFinite);
  const place = 1 + known.filter((other) => other > value).length;
  return `${name}, importance ${number(value)}, ${rank(place, known.length)}`;
}

interface Props {
  store: Store;
  info: ModelInfo;
  layout: Layout;
}

export function HeadCells({ store, info, layout }: Props) {
  const { selected_layer, selected_head, pruned_heads } = store.traits;
  const importance = store.importance.value;
  const focus = useSignal<readonly [number, number] | null>(null);
  const root = useRef<HTMLDivElement>(null);
  /** Where a brush began: under the pointer, or where Shift was pressed. */
  const origin = useRef<Head | null>(null);
  const [layerAt, headAt] = focus.value ?? [selected_layer.value, Math.max(0, selected_head.value)];
  const isPruned = (layer: number, head: number) =>
    pruned_heads.value.some(([l, h]) => l === layer && h === head);
  const onKey = (event: KeyboardEvent) => {
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
      if (store.brush.heads.peek().length > 0) store.togglePrunedBrush();
      else store.togglePruned(layerAt, headAt);
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
      onPointerUp={() => {
        origin.current = null;
      }}
    >
      {Array.from({ length: rows }, (_, head) => (
        <div role="row" key={`row ${head}`} tabIndex={-1}>
          {info.num_heads.map((count, layer) => {
            if (head >= count) return null;
            const chosen = selected_layer.value === layer && selected_head.value === head;
            const gone = isPruned(layer, head);
            return (
              <div
                role="gridcell"
                key={`layer ${info.num_layers} ${layer}`}
                class={`vaw-cell${chosen ? " vaw-chosen" : ""}`}
                data-testid={`head-${layer}-${head}`}
                aria-label={describeHead(importance, layer, head, gone)}
                aria-selected={chosen || store.brush.has(layer, head)}
                tabIndex={layer === layerAt && head === headAt ? 0 : -1}
                style={{
                  left: `${layout.left + layer * layout.cellWidth}px`,
                  top: `${layout.top + head * layout.cellHeight}px`,
                  width: `${layout.thumbnail.width}px`,
                  height: `${layout.cellHeight - 4}px`,
                }}
                onFocus={() => {
                  focus.value = [layer, head];
                  store.hoveredHead.value = [layer, head];
                }}
                onPointerDown={(event) => {
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
                {!gone && isUnknown(importance, layer, head) && <span class="vaw-shimmer" />}
                <button
                  type="button"
                  class="vaw-prune"
                  tabIndex={-1}
                  data-testid={`prune-${layer}-${head}`}
                  aria-label={gone ? "put this head back" : "prune this head"}
                  title={gone ? "put this head back (p)" : "prune this head (p)"}
                  onClick={(event) => {
                    event.stopPropagation();
                    store.togglePruned(layer, head);
                  }}
                >
                  {gone ? "+" : "×"}
                </button>
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
