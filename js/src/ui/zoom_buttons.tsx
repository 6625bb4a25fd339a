// The buttons that zoom a picture, and the keys that do the same.

import { consume, modified } from "./keys";

/** Closer, further away, or all of it. */
export type ZoomStep = 1 | -1 | 0;

const KEYS: Record<string, ZoomStep> = { "+": 1, "=": 1, "-": -1, "0": 0 };

/** Zooms by a key; whether it was one that does. */
export function zoomedByKey(event: KeyboardEvent, step: (direction: ZoomStep) => void): boolean {
  const direction = modified(event) ? undefined : KEYS[event.key];
  if (direction === undefined) return false;
  step(direction);
  consume(event);
  return true;
}

interface Props {
  /** What is zoomed, as a test finds it. */
  name: string;
  /** Whether all of it is seen as it was at first. */
  whole: boolean;
  /** Whether it is as large as it can be. */
  largest: boolean;
  step: (direction: ZoomStep) => void;
}

/** A button that does nothing now keeps the focus: the next press goes the other way. */
export function ZoomButtons({ name, whole, largest, step }: Props) {
  const button = (id: string, sign: string, tip: string, direction: ZoomStep, off: boolean) => (
    <button
      type="button"
      data-testid={`${name}-${id}`}
      aria-label={tip.replace(/ \(.*/, "")}
      data-tip={tip}
      aria-disabled={off}
      onClick={() => off || step(direction)}
    >
      {sign}
    </button>
  );
  return (
    <span
      class="vaw-zoom"
      role="group"
      aria-label="zoom"
      onKeyDown={(event) => {
        zoomedByKey(event, step);
      }}
    >
      {button("smaller", "−", "zoom out (−)", -1, whole)}
      {button("all", "all", "show all of it (0)", 0, whole)}
      {button("larger", "+", "zoom in (+, or Ctrl and wheel, or two fingers)", 1, largest)}
    </span>
  );
}
