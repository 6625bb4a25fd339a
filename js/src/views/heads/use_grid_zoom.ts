// Zoom and scroll inside the grid of heads: buttons, + - 0, Ctrl and wheel, two fingers. The store
// keeps both, so that the grid stands as it was left.

import { type ReadonlySignal, signal } from "@preact/signals";
import type { RefObject } from "preact";
import { useEffect, useLayoutEffect, useMemo, useRef } from "preact/hooks";
import type { ModelInfo } from "../../protocol/schema";
import type { Store } from "../../state/store";
import { nearest } from "../../ui/scrolled_to";
import type { ZoomStep } from "../../ui/zoom_buttons";
import { zoomGestures } from "../../ui/zoom_gestures";
import { type HeadsInView, headsWithin, type Layout, layoutOf, mostZoom } from "./head_grid_layout";

const BY_BUTTON = 1.5;

export interface GridZoom {
  layout: Layout;
  /** The same with all heads at once. */
  whole: Layout;
  zoom: number;
  /** How far one can zoom in; 1 where there is no use in it. */
  most: number;
  inView: ReadonlySignal<HeadsInView>;
  /** Zoom in or out around the middle; 0 shows all of it. */
  step: (direction: ZoomStep) => void;
  onScroll: () => void;
  /** Scrolls as little as it takes to see a head. */
  reveal: (layer: number, head: number) => void;
}

export function useGridZoom(
  store: Store,
  info: ModelInfo,
  scroller: RefObject<HTMLElement>,
  width: number,
): GridZoom {
  const most = mostZoom(info, width);
  const { x, y, zoom: wanted } = store.headZoom.value;
  const zoom = Math.max(1, Math.min(most, wanted));
  const whole = useMemo(() => layoutOf(info, width), [info, width]);
  const layout = useMemo(() => layoutOf(info, width, zoom), [info, width, zoom]);
  const inView = useMemo(() => {
    const all: HeadsInView = {
      layers: [0, info.num_layers],
      heads: [0, Math.max(...info.num_heads)],
    };
    return signal(all);
  }, [info]);

  const look = () => {
    const element = scroller.current;
    if (!element) return;
    const now = headsWithin(info, layout, {
      left: element.scrollLeft,
      top: element.scrollTop,
      width: element.clientWidth || layout.width,
      height: element.clientHeight || layout.height,
    });
    if (`${now.layers},${now.heads}` !== `${inView.peek().layers},${inView.peek().heads}`)
      inView.value = now;
  };
  useLayoutEffect(() => {
    const element = scroller.current;
    if (!element) return;
    element.scrollLeft = x * layout.cellWidth;
    element.scrollTop = y * layout.cellHeight;
    look();
  }, [layout]);
  const onScroll = () => {
    const element = scroller.current;
    if (!element) return;
    const { zoom, x, y } = store.headZoom.peek();
    const now = {
      x: element.scrollLeft / layout.cellWidth,
      y: element.scrollTop / layout.cellHeight,
    };
    // Where it was scrolled to by itself it stands to a pixel: what is kept is more exact.
    const moved = Math.hypot((now.x - x) * layout.cellWidth, (now.y - y) * layout.cellHeight);
    if (moved > 1.5) store.headZoom.value = { zoom, ...now };
    look();
  };

  /** What is seen at a place of the view stays there. */
  const zoomBy = (factor: number, seenX?: number, seenY?: number) => {
    const element = scroller.current;
    if (!element || most === 1) return;
    const kept = store.headZoom.peek(); // some come before it is drawn again
    const now = layoutOf(info, width, Math.max(1, Math.min(most, kept.zoom)));
    const next = Math.max(1, Math.min(most, kept.zoom * factor));
    const to = layoutOf(info, width, next);
    const stays = (edge: number, at: number, seen: number, cell: number, nextCell: number) =>
      Math.max(0, at + (seen - edge) / cell - (seen - edge) / nextCell);
    const atX = seenX ?? element.clientWidth / 2;
    const atY = seenY ?? element.clientHeight / 2;
    store.headZoom.value = {
      zoom: next,
      x: stays(layout.left, kept.x, atX, now.cellWidth, to.cellWidth),
      y: stays(layout.top, kept.y, atY, now.cellHeight, to.cellHeight),
    };
  };
  const latest = useRef(zoomBy);
  latest.current = zoomBy;
  useEffect(() => {
    const element = scroller.current;
    if (element && most > 1) return zoomGestures(element, (...how) => latest.current(...how));
  }, [most > 1]);

  const reveal = (layer: number, head: number) => {
    const element = scroller.current;
    if (!element) return;
    const { left, top, cellWidth, cellHeight } = layout;
    const x = left + layer * cellWidth;
    const y = top + head * cellHeight;
    element.scrollLeft = nearest(element.scrollLeft, element.clientWidth, x, cellWidth, left);
    element.scrollTop = nearest(element.scrollTop, element.clientHeight, y, cellHeight, top);
  };
  const step = (direction: ZoomStep) => zoomBy(direction && BY_BUTTON ** direction);
  return { layout, whole, zoom, most, inView, step, onScroll, reveal };
}
