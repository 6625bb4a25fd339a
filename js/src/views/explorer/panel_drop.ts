// Where a panel that is dragged would land, and where the line stands that says so.

import { type Columns, columnsOf, isWide, placed, without } from "./arrangement";

/** A line in the coordinates of the views, as CSS wants it. */
export type Line = Record<"left" | "top" | "width" | "height", string>;

export interface Drop {
  panels: string[];
  line: Line;
}

const THICK = 3;
/** Half the gap between panels. */
const APART = 8;

/** How far a point is from a box; 0 inside. */
function distance(box: DOMRect, x: number, y: number): number {
  const beside = Math.max(box.left - x, 0, x - box.right);
  const beyond = Math.max(box.top - y, 0, y - box.bottom);
  return Math.hypot(beside, beyond);
}

/** Whether the children of an element stand side by side at this width. */
function across(element: Element | null): boolean {
  return element !== null && getComputedStyle(element).flexDirection === "row";
}

/** The first place that a panel may take: beside a narrow column, wide ones stay in their own. */
export function firstPlace(views: Element, panels: readonly string[], id: string): number {
  return isWide(id) && across(views) ? columnsOf(panels).lead.length : 0;
}

/** Where the panel lands that is let go at a point; null where it already stands. */
export function dropAt(
  views: HTMLElement,
  panels: readonly string[],
  id: string,
  x: number,
  y: number,
): Drop | null {
  const boxOf = (name: string) =>
    views.querySelector(`[data-panel="${name}"]`)?.getBoundingClientRect() ?? new DOMRect();
  const far = panels.map((name) => distance(boxOf(name), x, y));
  const nearest = panels[far.indexOf(Math.min(...far))];
  if (nearest === undefined || nearest === id) return null;
  const box = boxOf(nearest);
  const index = without(panels, id).indexOf(nearest) + (y > (box.top + box.bottom) / 2 ? 1 : 0);
  const next = placed(panels, id, Math.max(index, firstPlace(views, panels, id)));
  if (next.join() === panels.join()) return null;
  return { panels: next, line: lineOf(views, boxOf, columnsOf(next), id) };
}

function lineOf(
  views: HTMLElement,
  boxOf: (name: string) => DOMRect,
  { lead, main, trail }: Columns,
  id: string,
): Line {
  const whole = views.getBoundingClientRect();
  const threeAcross = across(views.querySelector(".vaw-columns-rest"));
  // What stands below each other at this width.
  const stacks = across(views)
    ? [lead, ...(threeAcross ? [main, trail] : [[...main, ...trail]])]
    : [[...lead, ...main, ...trail]];
  const stack = stacks.find((names) => names.includes(id)) ?? [];
  const i = stack.indexOf(id);
  const [above, below] = [stack[i - 1], stack[i + 1]];
  const line = (left: number, top: number, width: number, height: number): Line => ({
    left: `${left - whole.left}px`,
    top: `${top - whole.top}px`,
    width: `${width}px`,
    height: `${height}px`,
  });
  if (below !== undefined) {
    const box = boxOf(below);
    return line(box.left, Math.max(whole.top, box.top - APART) - THICK / 2, box.width, THICK);
  }
  if (above !== undefined) {
    const box = boxOf(above);
    return line(box.left, box.bottom + APART - THICK / 2, box.width, THICK);
  }
  // Alone in a new column, at the left or at the right.
  const side = stack === lead ? whole.left : whole.right - THICK;
  return line(side, whole.top, THICK, whole.height);
}
