// The accessible grid over the canvas of heads: one button a head, and its prune mark.

import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import type { Head, ModelInfo } from "../../protocol/schema";
import type { Store } from "../../state/store";
import { HeadCell } from "./head_cell";
import { cellKeys } from "./head_cell_keys";
import type { Layout } from "./head_grid_paint";

interface Props {
  store: Store;
  info: ModelInfo;
  layout: Layout;
}

export function HeadCells({ store, info, layout }: Props) {
  const { selected_layer, selected_head } = store.traits;
  const focus = useSignal<Head | null>(null);
  const root = useRef<HTMLDivElement>(null);
  /** Where a brush began: under the pointer, or where Shift was pressed. */
  const origin = useRef<Head | null>(null);
  const wanted = focus.value ?? [selected_layer.value, Math.max(0, selected_head.value)];
  const stopLayer = Math.min(wanted[0], info.num_layers - 1);
  const stopHead = Math.max(0, Math.min(wanted[1], (info.num_heads[stopLayer] ?? 1) - 1));
  useEffect(() => {
    const release = () => {
      origin.current = null;
    };
    addEventListener("pointerup", release);
    return () => removeEventListener("pointerup", release);
  }, []);
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
      onKeyDown={cellKeys({ store, info, root, stop: [stopLayer, stopHead], focus, origin })}
      onPointerLeave={() => {
        store.hoveredHead.value = null;
      }}
      onBlur={() => {
        store.hoveredHead.value = null;
      }}
    >
      {Array.from({ length: rows }, (_, head) => (
        <div role="row" key={`row ${head}`} tabIndex={-1} aria-rowindex={head + 1}>
          {info.num_heads.map(
            (count, layer) =>
              head < count && (
                <HeadCell
                  key={`layer ${info.num_layers} ${layer}`}
                  store={store}
                  info={info}
                  layout={layout}
                  layer={layer}
                  head={head}
                  isStop={layer === stopLayer && head === stopHead}
                  focus={focus}
                  origin={origin}
                />
              ),
          )}
        </div>
      ))}
    </div>
  );
}
