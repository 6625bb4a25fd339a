// What the pointer does on a map that pans: presses that move it, and those that are clicks.

import { useRef } from "preact/hooks";
import type { Zoom } from "../../ui/use_zoom";

/** A press that moves less is a click, in pixels. */
const STEADY = 4;

export function useMapPointer(zoom: Zoom, imageAt: (x: number, y: number) => number) {
  const from = useRef<{ x: number; y: number; far: boolean } | null>(null);
  return {
    down(event: PointerEvent) {
      from.current = null; // a second finger ends the first one's drag
      if (event.button !== 0 || event.isPrimary === false) return;
      (event.currentTarget as HTMLElement).setPointerCapture?.(event.pointerId);
      from.current = { x: event.clientX, y: event.clientY, far: false };
    },
    /** The image under the pointer; null while it pans. */
    move(event: PointerEvent): number | null {
      const start = from.current;
      if (!start || event.buttons !== 1) return imageAt(...zoom.placeOf(event));
      const [right, down] = [event.clientX - start.x, event.clientY - start.y];
      if (!start.far && Math.hypot(right, down) < STEADY) return null;
      from.current = { x: event.clientX, y: event.clientY, far: true };
      zoom.panBy(right, down);
      return null;
    },
    /** Whether it was a click. */
    up(event: PointerEvent): boolean {
      const clicked = from.current !== null && !from.current.far && event.button === 0;
      from.current = null;
      return clicked;
    },
    cancel() {
      from.current = null;
    },
  };
}
