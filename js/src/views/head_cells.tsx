// The accessible grid over the canvas of heads: one button a head, and its prune mark.

import { useSignal } from "@preact/signals";
import { useRef } from "preact/hooks";
import { moved } from "../a11y/roving";
import type { Importance } from "../state/results";
import type { Store } from "../state/store";
import type { ModelInfo } from "../state/traits";
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
  const value = importance?.values[layer * importance.heads + head] ?? Number.NaN;
  if (!importance || !Number.isFinite(value)) return `${name}, importance not known yet`;
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
  const [layerAt, headAt] = focus.value ?? [selected_layer.value, Math.max(0, selected_head.value)];
  const isPruned = (layer: number, head: number) =>
    pruned_heads.value.some(([l, h]) => l === layer && h === head);
  const onKey = (event: KeyboardEvent) => {
    const rows = info.num_heads[layerAt] ?? 1;
    const to = moved(event.key, { row: headAt, col: layerAt }, rows, info.num_layers);
    if (to) {
      const head = Math.min(to.row, (info.num_heads[to.col] ?? 1) - 1);
      focus.value = [to.col, head];
      root.current?.querySelector<HTMLElement>(`[data-testid="head-${to.col}-${head}"]`)?.focus();
    } else if (event.key === "Enter" || event.key === " ") {
      store.set({ selected_layer: layerAt, selected_head: headAt });
    } else if (event.key === "p") {
      store.togglePruned(layerAt, headAt);
    } else if (event.key === "Escape") {
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
      aria-rowcount={rows}
      aria-colcount={info.num_layers}
      onKeyDown={onKey}
      onPointerLeave={() => {
        store.hoveredHead.value = null;
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
                aria-selected={chosen}
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
                onPointerEnter={() => {
                  store.hoveredHead.value = [layer, head];
                }}
                onClick={() => store.set({ selected_layer: layer, selected_head: head })}
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
  return !importance || !Number.isFinite(importance.values[layer * importance.heads + head]);
}
