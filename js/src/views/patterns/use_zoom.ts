// What part of a map is shown, and the way from the pointer's pixels to places on the map.

import { signal } from "@preact/signals";
import { useMemo } from "preact/hooks";
import { projection, WHOLE, type Window } from "./pattern_paint";

const REACH = 14;
const MOST_ZOOM = 16;

export type Zoom = ReturnType<typeof makeZoom>;

/** The zoom of one map: the same object as long as the map is there. */
export function useZoom(): Zoom {
  return useMemo(makeZoom, []);
}

function makeZoom() {
  const view = signal<Window>(WHOLE);
  /** Of the canvas, as it was painted last. */
  const size = { width: 1, height: 1 };
  const current = () => projection(view.peek(), size.width, size.height);
  return {
    view,
    size,
    placeOf(event: PointerEvent | MouseEvent | WheelEvent): [number, number] {
      const box = (event.currentTarget as HTMLElement).getBoundingClientRect();
      const to = current();
      return [to.mapX(event.clientX - box.left), to.mapY(event.clientY - box.top)];
    },
    /** How far from the pointer a point may lie, on the map. */
    reach: () => REACH / current().scale,
    /** Multiplies the zoom; what lies at (x, y) stays there. */
    zoomBy(factor: number, x = view.peek().x, y = view.peek().y) {
      const now = view.peek();
      const zoom = Math.max(1, Math.min(MOST_ZOOM, now.zoom * factor));
      const share = now.zoom / zoom; // what is under the pointer stays there
      view.value =
        zoom === 1 ? WHOLE : { x: x + (now.x - x) * share, y: y + (now.y - y) * share, zoom };
    },
    reset() {
      view.value = WHOLE;
    },
  };
}
