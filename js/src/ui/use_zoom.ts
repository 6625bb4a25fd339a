// What part of a map is shown, and the way from the pointer's pixels to places on the map.

import { signal } from "@preact/signals";
import { useEffect, useMemo, useRef } from "preact/hooks";
import type { ZoomStep } from "./zoom_buttons";
import { zoomGestures } from "./zoom_gestures";

/** What part of a map is shown: a place in the middle, and how far it is enlarged. */
export interface Window {
  x: number;
  y: number;
  zoom: number;
}

export const WHOLE: Window = { x: 0, y: 0, zoom: 1 };
export const isWhole = ({ x, y, zoom }: Window) => zoom === 1 && x === 0 && y === 0;
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

/** The part of the map that the canvas shows. */
export function inSight(window: Window, width: number, height: number) {
  const to = projection(window, width, height);
  return { left: to.mapX(0), right: to.mapX(width), bottom: to.mapY(height), top: to.mapY(0) };
}

const REACH = 14;
const MOST_ZOOM = 16;
/** How far out the middle may lie. */
const FURTHEST = 8;
const BY_STEP = 2;

export type Zoom = ReturnType<typeof makeZoom>;

/** The zoom of one map: the same object as long as the map is there. */
export function useZoom(most = MOST_ZOOM): Zoom {
  return useMemo(() => makeZoom(most), [most]);
}

/** Ctrl and wheel, and two fingers, zoom the map that stands in the element with this ref. */
export function useZoomGestures(zoom: Zoom) {
  const ref = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const element = ref.current;
    if (!element) return;
    return zoomGestures(element, (by, x, y) => zoom.zoomBy(by, ...zoom.placeAt(x, y)));
  }, [zoom]);
  return ref;
}

function makeZoom(most: number) {
  const view = signal<Window>(WHOLE);
  /** Of the canvas, as it was painted last. */
  const size = { width: 1, height: 1 };
  const current = () => projection(view.peek(), size.width, size.height);
  const placeAt = (x: number, y: number): [number, number] => {
    const to = current();
    return [to.mapX(x), to.mapY(y)];
  };
  const zoom = {
    view,
    size,
    most,
    /** Of a pixel of the canvas. */
    placeAt,
    placeOf(event: PointerEvent | MouseEvent): [number, number] {
      const box = (event.currentTarget as HTMLElement).getBoundingClientRect();
      return placeAt(event.clientX - box.left, event.clientY - box.top);
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
    /** What a button or a key does; what lies at (x, y) stays there. */
    step(direction: ZoomStep, x?: number, y?: number) {
      if (direction === 0) zoom.reset();
      else zoom.zoomBy(BY_STEP ** direction, x, y);
    },
  };
  return zoom;
}
