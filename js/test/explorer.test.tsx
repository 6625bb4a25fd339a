// Panels of the Explorer: opened, closed, moved by key and pointer, and what the kernel hears.

import { act } from "preact/test-utils";
import { describe, expect, it, vi } from "vitest";
import { columnsOf, USUAL, withOpen } from "../src/views/explorer/arrangement";
import { Explorer } from "../src/views/explorer/explorer";
import { PANELS } from "../src/views/explorer/panels";
import { HeadGrid } from "../src/views/heads/head_grid";
import { find, root, showInShell } from "./show";

const show = (changes = {}, View = Explorer) => showInShell(View, changes);

const shown = () =>
  [...root.querySelectorAll<HTMLElement>("[data-panel]")].map((place) => place.dataset.panel);
const click = (testid: string) =>
  act(() => {
    find(testid).dispatchEvent(new MouseEvent("click", { bubbles: true }));
  });
const press = (element: Element, key: string) =>
  act(() => {
    element.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));
  });
const point = (testid: string, type: string, clientX = 0, clientY = 0) =>
  act(() => {
    find(testid).dispatchEvent(new MouseEvent(type, { clientX, clientY, bubbles: true }));
  });

/** Two columns: picture and decision at the left, heads and film at the right. */
function layOut(): void {
  const boxes: Record<string, [number, number, number, number]> = {
    picture: [0, 0, 200, 300],
    decision: [0, 316, 200, 100],
    heads: [216, 0, 600, 400],
    film: [216, 416, 600, 100],
  };
  for (const [name, [x, y, width, height]] of Object.entries(boxes)) {
    find(`panel-${name}`).getBoundingClientRect = () =>
      ({ left: x, top: y, right: x + width, bottom: y + height, width, height }) as DOMRect;
  }
  (root.querySelector(".vaw-columns") as HTMLElement).style.flexDirection = "row";
}

describe("the arrangement", () => {
  it("follows from one list: narrow before the first wide panel, and after the last", () => {
    expect(columnsOf(["picture", "heads", "film", "decision"])).toEqual({
      lead: ["picture"],
      main: ["heads", "film"],
      trail: ["decision"],
    });
    expect(columnsOf(["heads", "picture", "film"]).main).toEqual(["heads", "picture", "film"]);
    expect(columnsOf(["picture", "decision"])).toEqual({
      lead: ["picture"],
      main: ["decision"],
      trail: [],
    });
  });

  it("opens a panel behind the one that usually stands before it", () => {
    expect(withOpen(["heads", "film"], "picture")).toEqual(["picture", "heads", "film"]);
    expect(withOpen(["film", "picture"], "heads")).toEqual(["film", "picture", "heads"]);
    expect(withOpen(USUAL, "strength").at(-1)).toBe("strength");
  });
});

describe("panels", () => {
  it("are the usual ones where the model knows of none, and closed ones ask for nothing", async () => {
    const { model } = await show();
    expect(shown()).toEqual([...USUAL]);
    expect(model.sent.map((m) => m.method)).not.toContain("strength");
    expect(find("head-detail")).toBeNull();
    expect(find("usual-layout")).toBeNull();
    for (const { id, open } of PANELS) {
      expect(find(`view-${id}`).getAttribute("aria-pressed")).toBe(String(open));
    }
  });

  it("open and close by their buttons, and tell the kernel", async () => {
    const { model } = await show({ panels: [...USUAL] });
    await click("view-strength");
    expect(shown()).toContain("strength");
    expect(model.values.panels).toEqual([...USUAL, "strength"]);
    expect(model.saved.at(-1)).toEqual(["panels"]);
    expect(model.sent.at(-1)?.method).toBe("strength");
    await click("close-heads");
    expect(shown()).not.toContain("heads");
    expect(document.activeElement).toBe(find("view-heads"));
    await click("usual-layout");
    expect(model.values.panels).toEqual([...USUAL]);
    expect(find("usual-layout")).toBeNull();
  });

  it("follow Python, and say so when all are closed", async () => {
    const { model } = await show({ panels: ["heads", "film"] });
    const heads = find("panel-heads");
    await act(() => model.kernel("panels", ["picture", "film", "heads", "from a later version"]));
    expect(shown()).toEqual(["picture", "film", "heads"]);
    expect(find("panel-heads")).toBe(heads);
    await act(() => model.kernel("panels", []));
    expect(shown()).toEqual([]);
    expect(root.textContent).toContain("Every view is closed");
  });

  it("have one tab stop for their buttons, and arrows between them", async () => {
    await show();
    const chips = [...root.querySelectorAll(".vaw-view")];
    expect(chips.filter((chip) => chip.getAttribute("tabindex") === "0")).toHaveLength(1);
    find("view-picture").focus();
    await press(find("view-picture"), "ArrowRight");
    expect(document.activeElement).toBe(find("view-decision"));
    expect(find("view-decision").getAttribute("tabindex")).toBe("0");
  });

  it("leave other widgets as they were", async () => {
    const { model } = await show({}, HeadGrid);
    expect(root.querySelector(".vaw-panel-tools")).toBeNull();
    expect(model.saved).toEqual([]);
  });
});

describe("moving a panel", () => {
  it("works by arrows, which keep the focus and say the place", async () => {
    const { model } = await show();
    find("move-film").focus();
    await press(find("move-film"), "ArrowUp");
    expect(model.values.panels).toEqual(["picture", "decision", "film", "heads"]);
    expect(document.activeElement).toBe(find("move-film"));
    expect(find("move-film").getAttribute("aria-label")).toBe("move layers, 3 of 4");
    expect(root.querySelector(".vaw-aloud[role=status]")?.textContent).toBe("layers is 3 of 4");
    await press(find("move-picture"), "ArrowUp");
    expect(model.values.panels).toEqual(["picture", "decision", "film", "heads"]);
  });

  it("works by pointer, with a line where it lands", async () => {
    const { model } = await show();
    layOut();
    await point("move-decision", "pointerdown");
    await point("move-decision", "pointermove", 400, 300);
    expect(find("drop-line").style.top).toBe("406.5px");
    expect(find("panel-decision").className).toContain("vaw-lifted");
    await point("move-decision", "pointermove", 100, 350);
    expect(find("drop-line")).toBeNull();
    await point("move-decision", "pointermove", 400, 300);
    await point("move-decision", "pointerup");
    expect(find("drop-line")).toBeNull();
    expect(model.values.panels).toEqual(["picture", "heads", "decision", "film"]);
  });

  it("keeps wide panels out of the narrow column, and ends at Escape", async () => {
    const { model } = await show();
    layOut();
    await point("move-film", "pointerdown");
    await point("move-film", "pointermove", 100, 20);
    expect(find("drop-line").style.left).toBe("216px");
    await press(find("move-film"), "Escape");
    await point("move-film", "pointerup");
    expect(model.values.panels).toBeUndefined();
    await press(find("move-heads"), "ArrowUp");
    expect(model.values.panels).toBeUndefined();
  });
});

describe("full screen", () => {
  it("is offered only where the host allows it", async () => {
    await show();
    expect(find("full-screen")).toBeNull();
  });

  it("is asked for the whole widget", async () => {
    const ask = vi.fn(() => Promise.resolve());
    Object.defineProperty(document, "fullscreenEnabled", { value: true, configurable: true });
    try {
      await show();
      root.requestFullscreen = ask;
      await click("full-screen");
      expect(ask).toHaveBeenCalledOnce();
    } finally {
      Reflect.deleteProperty(document, "fullscreenEnabled");
    }
  });
});
