// The pointer over the chart of heads: hover reads, click selects, drag brushes a stretch.

import { useRef } from "preact/hooks";
import type { Head } from "../../protocol/schema";
import type { Store } from "../../state/store";
import { LEFT, RIGHT } from "../../ui/axes";

/** Pixels before a press becomes a drag. */
const DRAG = 4;

/** Attributes of the SVG of a chart that is `width` pixels wide. */
export function useChartPointer(store: Store, heads: readonly Head[], width: number) {
  const svg = useRef<SVGSVGElement>(null);
  /** Where the pointer went down: at which head, and at which pixel. */
  const press = useRef<{ index: number; x: number } | null>(null);
  const indexAt = (event: PointerEvent) => {
    const box = svg.current?.getBoundingClientRect();
    const share = box ? (event.clientX - box.left - LEFT) / (width - RIGHT - LEFT) : 0;
    return Math.max(0, Math.min(heads.length - 1, Math.round(share * (heads.length + 1)) - 1));
  };
  const choose = (index: number) => {
    const head = heads[index];
    if (head) store.set({ selected_layer: head[0], selected_head: head[1] });
  };
  return {
    ref: svg,
    onPointerDown: (event: PointerEvent) => {
      if (event.button !== 0) return;
      store.brush.clear();
      press.current = { index: indexAt(event), x: event.clientX };
    },
    onPointerMove: (event: PointerEvent) => {
      const index = indexAt(event);
      const head = heads[index] ?? null;
      const [layer, number] = store.hoveredHead.peek() ?? [-1, -1];
      if (head?.[0] !== layer || head?.[1] !== number) store.hoveredHead.value = head;
      const start = press.current;
      const dragged = store.brush.heads.peek().length > 0;
      if (event.buttons === 1 && start && (dragged || Math.abs(event.clientX - start.x) >= DRAG)) {
        const [low, high] = [Math.min(index, start.index), Math.max(index, start.index)];
        store.brush.heads.value = heads.slice(low, high + 1);
      }
    },
    onPointerUp: (event: PointerEvent) => {
      if (press.current && store.brush.heads.peek().length === 0) choose(indexAt(event));
      press.current = null;
    },
    onPointerLeave: () => {
      store.hoveredHead.value = null;
    },
  };
}
