// A canvas that is as wide as it may be, and painted again when a signal that its painter reads
// changes: at once, in the same frame as the event that changed it.

import { effect } from "@preact/signals";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { sharp } from "../draw/heatmap";

type Paint = (context: CanvasRenderingContext2D, width: number, height: number) => void;

interface Props {
  /** Height over width. */
  aspect: number;
  paint: Paint;
  /** What it shows; nothing where the words beside it say that. */
  label?: string;
  testid?: string;
  maxWidth?: number;
}

/** Width of an element as it is laid out. */
export function useWidth<E extends HTMLElement>(initial = 320) {
  const ref = useRef<E>(null);
  const [width, setWidth] = useState(initial);
  useLayoutEffect(() => {
    const element = ref.current;
    if (!element) return;
    const measure = () => element.clientWidth > 0 && setWidth(element.clientWidth);
    measure();
    if (typeof ResizeObserver === "undefined") return;
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  return [ref, width] as const;
}

export function Canvas({ aspect, paint, label, testid, maxWidth }: Props) {
  const [ref, available] = useWidth<HTMLDivElement>();
  const canvas = useRef<HTMLCanvasElement>(null);
  const width = Math.min(available, maxWidth ?? available);
  const height = width * aspect;
  const latest = useRef(paint);
  latest.current = paint;
  useEffect(
    () =>
      effect(() => {
        const context = canvas.current && sharp(canvas.current, width, height);
        if (!context) return;
        context.clearRect(0, 0, width, height);
        latest.current(context, width, height);
      }),
    // The painter is a new function each time; what it reads by signals repaints by itself.
    [paint, width, height],
  );
  return (
    <div ref={ref} class="vaw-canvas">
      <canvas
        ref={canvas}
        data-testid={testid}
        {...(label ? { role: "img", "aria-label": label } : { "aria-hidden": true })}
        style={{ width: `${width}px`, height: `${height}px` }}
      />
    </div>
  );
}
