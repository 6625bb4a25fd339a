// What part of a map is shown, and the way from the pointer's pixels to places on the map.

import { signal } from "@preact/signals";
import { useMemo } from "preact/hooks";

/** What part of a map is shown: a place in the middle, and how far it is enlarged. */
export interface Window {
  x: number;
  y: number;
  zoom: number;
}

export const WHOLE: Window = { x: 0, y: 0, zoom: 1 };
const MARGIN = 1.06;

/** From the map (-1 to 1) to the canvas and back. */
export function projection(window: Window, width: number, height: number) {
  const scale = (Math.min(width, height) / 2 / MARGIN) * window.zoom;
  return {
    scale,
    x: (value: number) => width / 2 + (value - window.x) * scale,
    y: (value: number) => height / 2 - (value - window.y) * scale,
    mapX: (pixel: number) => window.x + (pixel - width / 2) / scale,
    mapY: (pixel: number) => window.y - (pixel - height / 2) / scale,
  };
}

const REACH = 14;
const MOST_ZOOM = 16;
/** How far out the middle may lie. */
const FURTHEST = 8;

export type Zoom = ReturnType<typeof makeZoom>;

/** The zoom of one map: the same object as long as the map is there. */
export function useZoom(most = MOST_ZOOM): Zoom {
  return useMemo(() => makeZoom(most), [most]);
}

function makeZoom(most: number) {
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
      const zoom = Math.max(1, Math.min(most, now.zoom * factor));
      const share = now.zoom / zoom; // what is under the pointer stays there
      view.value =
        zoom === 1 ? WHOLE : { x: x + (now.x - x) * share, y: y + (now.y - y) * share, zoom };
    },
    /** Moves what is shown by so many pixels; its middle stays on the map. */
    panBy(right: number, down: number) {
      const now = view.peek();
      const { scale } = current();
      const within = (value: number) => Math.max(-FURTHEST, Math.min(FURTHEST, value));
      view.value = { ...now, x: within(now.x - right / scale), y: within(now.y + down / scale) };
    },
    reset() {
      view.value = WHOLE;
    },
  };
}
