// The arrangement of panels is one list of ids; the columns follow from it. What stands before the
// first wide panel is the narrow column, the rest is the wide one; narrow panels after the last
// wide one step aside where there is room for three columns. So the list read from its beginning
// is also the order in a single column, and moving a panel in it is all that dragging does.

import type { Store } from "../../state/store";
import { PANELS, type PanelEntry } from "./panels";

export interface Columns {
  lead: string[];
  main: string[];
  trail: string[];
}

const IDS = PANELS.map((panel) => panel.id);
export const USUAL: readonly string[] = PANELS.filter((panel) => panel.open).map(({ id }) => id);

export function entryOf(id: string): PanelEntry | undefined {
  return PANELS.find((panel) => panel.id === id);
}

export function isWide(id: string): boolean {
  return entryOf(id)?.column === "wide";
}

/** The open panels; the usual ones where the model knows of none, as in an exported page. */
export function openPanels(store: Store): string[] {
  return (store.traits.panels.value ?? USUAL).filter((id) => IDS.includes(id));
}

export function isUsual(panels: readonly string[]): boolean {
  return panels.join() === USUAL.join();
}

export function columnsOf(panels: readonly string[]): Columns {
  const wide = panels.map(isWide);
  const first = wide.indexOf(true);
  // Narrow panels alone stand side by side.
  if (first < 0) return { lead: panels.slice(0, 1), main: panels.slice(1), trail: [] };
  const last = wide.lastIndexOf(true) + 1;
  return {
    lead: panels.slice(0, first),
    main: panels.slice(first, last),
    trail: panels.slice(last),
  };
}

/** With one more panel open: behind the nearest open one that is usually before it. */
export function withOpen(panels: readonly string[], id: string): string[] {
  const before = IDS.slice(0, IDS.indexOf(id)).reverse();
  const last = before.find((other) => panels.includes(other));
  return placed(panels, id, last === undefined ? 0 : panels.indexOf(last) + 1);
}

export function without(panels: readonly string[], id: string): string[] {
  return panels.filter((other) => other !== id);
}

/** With a panel at a place among the others. */
export function placed(panels: readonly string[], id: string, at: number): string[] {
  const others = without(panels, id);
  return [...others.slice(0, at), id, ...others.slice(at)];
}
