// A tree of the widget's own inside the host's page, which the page's rules for output do not reach.
//
// The sheet also stands in the page, where anywidget puts it: there it sets the colors of `.vaw`, by
// the host's theme, which are inherited. A host that keeps the sheet from the widget (marimo) has a
// shadow tree of its own around it.

import type { AnyModel } from "../protocol/model";

/** Where a widget is drawn that is shown in `el`; lives until the signal. */
export function isolated(el: HTMLElement, model: AnyModel, signal: AbortSignal): HTMLElement {
  const css = () => model.get("_css");
  if (typeof css() !== "string" || css() === "") return el;
  const tree = el.shadowRoot ?? el.attachShadow({ mode: "open" });
  const sheet = document.createElement("style");
  const home = document.createElement("div");
  const take = () => {
    sheet.textContent = String(css());
  };
  take();
  model.on("change:_css", take); // while it is being worked on
  signal.addEventListener("abort", () => model.off("change:_css", take));
  tree.replaceChildren(sheet, home);
  return home;
}
