// What moves to its new place instead of jumping there.

import { type ReadonlySignal, useSignal } from "@preact/signals";
import { useLayoutEffect, useRef } from "preact/hooks";
import { calm } from "../../ui/motion";
import type { Place } from "./image_places";

export interface Standing {
  places: readonly Place[];
  size: number;
  /** Moves when this changes; jumps otherwise, as on another width. */
  of: unknown;
}

const MILLISECONDS = 600;

export function useMoving(target: Standing): ReadonlySignal<Standing> {
  const shown = useSignal(target);
  const last = useRef(target);
  useLayoutEffect(() => {
    const from = shown.peek();
    const moves = last.current.of !== target.of && from.places.length === target.places.length;
    last.current = target;
    if (!moves || calm() || typeof requestAnimationFrame === "undefined") {
      shown.value = target;
      return;
    }
    const began = performance.now();
    let frame = 0;
    const step = () => {
      const share = Math.min(1, (performance.now() - began) / MILLISECONDS);
      shown.value = share < 1 ? between(from, target, share * share * (3 - 2 * share)) : target;
      if (share < 1) frame = requestAnimationFrame(step);
    };
    step();
    return () => cancelAnimationFrame(frame);
  }, [target, shown]);
  return shown;
}

function between(from: Standing, to: Standing, share: number): Standing {
  const mix = (a: number, b: number) => a + (b - a) * share;
  return {
    size: mix(from.size, to.size),
    of: to.of,
    places: to.places.map(([x, y], i): Place => {
      const [fromX, fromY] = from.places[i] ?? [x, y];
      return [mix(fromX, x), mix(fromY, y)];
    }),
  };
}
