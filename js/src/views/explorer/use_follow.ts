// The column of the picture stays in sight while the page scrolls past the others. `position: sticky`
// would do, but notebooks clip the output of a cell, and inside what is clipped nothing sticks.

import type { RefObject } from "preact";
import { useEffect, useRef } from "preact/hooks";

const GAP = 8;

/** What an element stands in, out of shadow trees too. */
function parentOf(element: Element): Element | null {
  const root = element.getRootNode();
  return element.parentElement ?? (root instanceof ShadowRoot ? root.host : null);
}

/** What an element stands in that may scroll. */
function scrollersOf(element: Element): Element[] {
  const scrollers: Element[] = [];
  for (
    let parent = parentOf(element);
    parent && parent !== document.body;
    parent = parentOf(parent)
  ) {
    if (/auto|scroll/.test(getComputedStyle(parent).overflowY)) scrollers.push(parent);
  }
  return scrollers;
}

/** The upper edge of what can be seen inside of these, in the window. */
function seenFrom(scrollers: readonly Element[]): number {
  const scrolled = scrollers.filter((at) => at.scrollHeight > at.clientHeight + 1);
  return Math.max(0, ...scrolled.map((at) => at.getBoundingClientRect().top));
}

/** How far down a column of this height goes: to what is seen, but never out of its row. */
export function followed(rowTop: number, rowHeight: number, height: number, seen: number): number {
  return Math.max(0, Math.min(seen + GAP - rowTop, rowHeight - height));
}

/** Keeps the first child of a row in sight, where it stands beside the others. */
export function useFollow(on: boolean): RefObject<HTMLDivElement> {
  const row = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (!on || !row.current) return;
    const scrollers = scrollersOf(row.current); // a page scrolls far more often than it changes
    const place = () => {
      const column = row.current?.firstElementChild as HTMLElement | null | undefined;
      if (!row.current || !column) return;
      const beside = getComputedStyle(row.current).flexDirection === "row";
      const { top, height } = row.current.getBoundingClientRect();
      const down = beside ? followed(top, height, column.offsetHeight, seenFrom(scrollers)) : 0;
      column.style.transform = down > 0 ? `translateY(${Math.round(down)}px)` : "";
    };
    place();
    // Scrolling does not bubble: it is heard on its way down.
    addEventListener("scroll", place, { capture: true, passive: true });
    addEventListener("resize", place);
    return () => {
      removeEventListener("scroll", place, { capture: true });
      removeEventListener("resize", place);
    };
  }, [on]);
  return row;
}
