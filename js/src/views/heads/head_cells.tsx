// The accessible grid over the canvas of heads: one button a head, and its prune mark.

import { type ReadonlySignal, type Signal, useSignal } from "@preact/signals";
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import type { Head, ModelInfo } from "../../protocol/schema";
import type { Store } from "../../state/store";
import { HeadCell } from "./head_cell";
import { cellKeys } from "./head_cell_keys";
import type { HeadsInView, Layout } from "./head_grid_layout";
import { touchBrush } from "./touch_brush";

interface Props {
  store: Store;
  info: ModelInfo;
  layout: Layout;
  inView: ReadonlySignal<HeadsInView>;
}

export function HeadCells({ store, info, layout, inView }: Props) {
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
  useEffect(() => {
    const spans = (from: Head, to: Head) => store.brush.span(from, to, info.num_heads);
    if (root.current) return touchBrush(root.current, spans);
  }, [store, info]);
  const rows = Math.max(...info.num_heads);
  const { layers, heads } = inView.value;
  const isSeen = (head: number) => head >= heads[0] && head < heads[1];
  // A head that was not drawn yet is walked to once it is.
  const walked = useRef(false);
  useLayoutEffect(() => {
    if (!walked.current) return;
    walked.current = false;
    cellOf(root.current, [stopLayer, stopHead])?.focus();
  });
  const onKeyDown = cellKeys({
    store,
    info,
    stop: [stopLayer, stopHead],
    focus,
    origin,
    walk: (to) => {
      const cell = cellOf(root.current, to);
      if (cell) cell.focus();
      else walked.current = true;
    },
  });
  return (
    <div
      ref={root}
      class="vaw-heads-cells"
      role="grid"
      aria-label="heads by layer"
      aria-multiselectable="true"
      aria-rowcount={rows}
      aria-colcount={info.num_layers}
      onKeyDown={onKeyDown}
      onPointerLeave={() => {
        store.hoveredHead.value = null;
      }}
      onFocusOut={() => {
        store.hoveredHead.value = null;
      }}
    >
      {Array.from({ length: rows }, (_, head) => (
        <Row
          key={`row ${head}`}
          {...{ store, info, layout, head, focus, origin }}
          first={isSeen(head) ? layers[0] : 0}
          end={isSeen(head) ? layers[1] : 0}
          stop={head === stopHead ? stopLayer : -1}
        />
      ))}
    </div>
  );
}

interface RowProps extends Pick<Props, "store" | "info" | "layout"> {
  head: number;
  /** The first layer in view, and that after the last. */
  first: number;
  end: number;
  /** Layer of the grid's tab stop, -1 if it is in another row; in view or not, one can step to it. */
  stop: number;
  focus: Signal<Head | null>;
  origin: { current: Head | null };
}

function Row({ head, first, end, stop, ...cell }: RowProps) {
  const { num_heads, num_layers } = cell.info;
  return (
    <div role="row" tabIndex={-1} aria-rowindex={head + 1}>
      {num_heads.map(
        (count, layer) =>
          head < count &&
          ((layer >= first && layer < end) || layer === stop) && (
            <HeadCell
              key={`layer ${num_layers} ${layer}`}
              {...cell}
              layer={layer}
              head={head}
              isStop={layer === stop}
            />
          ),
      )}
    </div>
  );
}

const cellOf = (root: HTMLElement | null, [layer, head]: Head) =>
  root?.querySelector<HTMLElement>(`[data-testid="head-${layer}-${head}"]`);
