// By touch, several heads are chosen by holding one and moving on to others; a swipe scrolls, as
// everywhere.

import type { Head } from "../../protocol/schema";

const HOLD_MS = 400;
/** So far may a finger move that rests. */
const SLOP = 10;

/** Tells of a held finger: over which heads it went from which one. Listens until it is ended. */
export function touchBrush(root: HTMLElement, spans: (from: Head, to: Head) => void): () => void {
  const end = new AbortController();
  let timer: ReturnType<typeof setTimeout> | undefined;
  let start = { x: 0, y: 0 };
  let from: Head | null = null;
  const tree = root.getRootNode() as Document | ShadowRoot;
  const headAt = (x: number, y: number) => headOf(tree.elementFromPoint(x, y));
  const on = (kind: "touchstart" | "touchmove" | "touchend" | "touchcancel" | "contextmenu") => {
    root.addEventListener(kind, (event) => hear(event as TouchEvent), {
      signal: end.signal,
      passive: false,
    });
  };
  const hear = (event: TouchEvent) => {
    if (event.type === "contextmenu") {
      if (from) event.preventDefault();
      return;
    }
    const [finger, other] = [event.touches[0], event.touches[1]];
    if (event.type === "touchstart" || !finger || other) {
      if (from && event.type === "touchend") event.preventDefault(); // no tap
      clearTimeout(timer);
      from = null;
    }
    if (!finger || other) return;
    const { clientX: x, clientY: y } = finger;
    if (event.type === "touchstart") {
      start = { x, y };
      timer = setTimeout(() => {
        from = headAt(x, y);
        if (from) spans(from, from);
      }, HOLD_MS);
    } else if (from) {
      event.preventDefault();
      const to = headAt(x, y);
      if (to) spans(from, to);
    } else if (Math.hypot(x - start.x, y - start.y) > SLOP) clearTimeout(timer);
  };
  for (const kind of ["touchstart", "touchmove", "touchend", "touchcancel", "contextmenu"] as const)
    on(kind);
  return () => {
    clearTimeout(timer);
    end.abort();
  };
}

function headOf(element: Element | null): Head | null {
  const name = element?.closest<HTMLElement>("[role=gridcell]")?.dataset.testid;
  const [layer, head] = (name ?? "").split("-").slice(1).map(Number);
  return layer === undefined || head === undefined ? null : [layer, head];
}
