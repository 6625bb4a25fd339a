// Brings what was opened into sight, and again while what is in it comes.

import { calm } from "../../ui/motion";

/** So long may that take, in milliseconds. */
const COMES_MS = 5000;
/** What a reader does who goes elsewhere. */
const GOES = ["wheel", "touchmove", "pointerdown", "keydown"] as const;

/** Scroll as little as it takes to see an element. */
export function reveal(element: HTMLElement | null | undefined): void {
  element?.scrollIntoView?.({ block: "nearest", behavior: calm() ? "auto" : "smooth" });
}

/** The same as often as it grows, until the reader goes elsewhere; returns what ends that. */
export function revealAsItGrows(element: HTMLElement | null | undefined): () => void {
  reveal(element);
  if (!element || typeof ResizeObserver === "undefined") return () => undefined;
  const end = new AbortController();
  const watch = new ResizeObserver(() => reveal(element));
  const stop = () => {
    clearTimeout(timer);
    watch.disconnect();
    end.abort();
  };
  const timer = setTimeout(stop, COMES_MS);
  watch.observe(element);
  for (const kind of GOES)
    addEventListener(kind, stop, { signal: end.signal, capture: true, passive: true });
  return stop;
}
