import { act } from "preact/test-utils";
import { describe, expect, it, vi } from "vitest";
import { Explorer } from "../src/views/explorer/explorer";
import { find, root, showView } from "./show";

const step = (changes: object) => ({
  text: "",
  do: "",
  waits_for: [] as string[],
  answer: "",
  panel: "",
  select: {},
  ...changes,
});

const STEPS = [
  step({ text: "{patches} patches of {model}", do: "Click one.", waits_for: ["selected_token"] }),
  step({
    text: "Prune {head}.",
    panel: "heads",
    waits_for: ["pruned_heads"],
    answer: "{class} {now} {odd}",
  }),
  step({ text: "<b>Look</b>", panel: "compare", select: { selected_layer: 0, pruned_heads: [] } }),
];

const click = (testid: string) => act(() => find(testid).click());
const card = () => find("tour").textContent ?? "";

describe("the tour", () => {
  it("is begun by a button, and left", async () => {
    const { model } = await showView(Explorer, { _tour: STEPS, tour_step: -1 });
    expect(find("tour")).toBeNull();
    await click("tour-begin");
    expect(model.values.tour_step).toBe(0);
    expect(card()).toContain("6 patches of");
    await click("tour-leave");
    expect(model.values.tour_step).toBe(-1);
    expect(find("tour")).toBeNull();
  });

  it("stands above the panel that a step is about, asks for one thing, and answers it", async () => {
    const { store } = await showView(Explorer, { _tour: STEPS, tour_step: 1 });
    expect(find("tour").closest("[data-panel]")?.getAttribute("data-panel")).toBe("heads");
    expect(find("tour-answer").textContent).toBe("");
    const asked = card();
    await act(() => store.prune([[0, 1]]));
    expect(find("tour-answer").textContent).toBe("star 70 % {odd}");
    expect(card().startsWith(asked.slice(0, 12))).toBe(true);
  });

  it("selects what a step begins with, and opens its panel", async () => {
    const { model } = await showView(Explorer, { _tour: STEPS, tour_step: 1 });
    await act(() => find("tour-next").click());
    expect(model.values.tour_step).toBe(2);
    expect(model.values.selected_layer).toBe(0);
    expect(model.values.panels).toContain("compare");
    expect(root.querySelector(".vaw-tour b")).toBeNull(); // a text is never HTML
    await click("tour-next");
    expect(model.values.tour_step).toBe(-1);
  });

  it("brings a panel into sight again as it grows, until the reader goes elsewhere", async () => {
    const grown: (() => void)[] = [];
    class Watch {
      constructor(private readonly tell: () => void) {}
      observe(element: Element) {
        if (element.getAttribute("data-panel") === "compare") grown.push(this.tell);
      }
      disconnect() {
        grown.splice(0);
      }
    }
    vi.stubGlobal("ResizeObserver", Watch);
    const reveal = vi.fn();
    Element.prototype.scrollIntoView = reveal;
    try {
      await showView(Explorer, { _tour: STEPS, tour_step: 2 });
      await new Promise((resolve) => setTimeout(resolve));
      expect(reveal).toHaveBeenCalledTimes(1);
      const [place] = reveal.mock.contexts as Element[];
      expect(place?.contains(find("tour"))).toBe(true); // the card with what it is about
      grown[0]?.();
      expect(reveal).toHaveBeenCalledTimes(2);
      window.dispatchEvent(new Event("wheel"));
      expect(grown).toHaveLength(0);
    } finally {
      vi.unstubAllGlobals();
      Reflect.deleteProperty(Element.prototype, "scrollIntoView");
    }
  });

  it("goes by keys", async () => {
    const { model } = await showView(Explorer, { _tour: STEPS, tour_step: 0 });
    const press = (key: string) =>
      act(() => {
        find("tour").dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
      });
    await press("PageDown");
    expect(model.values.tour_step).toBe(1);
    await press("ArrowLeft");
    expect(model.values.tour_step).toBe(0);
    await press("Escape");
    expect(model.values.tour_step).toBe(-1);
  });
});

describe("the presentation", () => {
  it("shows one panel at a time, and goes on by keys", async () => {
    await showView(Explorer, { panels: ["picture", "decision", "heads"], tour_step: -1 });
    await click("present");
    const shown = () =>
      [...root.querySelectorAll("[data-panel]")].map((p) => p.getAttribute("data-panel"));
    expect(shown()).toEqual(["picture"]);
    await click("present-next");
    expect(shown()).toEqual(["decision"]);
    const explorer = root.querySelector(".vaw-explorer");
    const press = (key: string) =>
      act(() => {
        explorer?.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
      });
    await press("PageDown");
    await press("PageDown");
    expect(shown()).toEqual(["heads"]);
    await press("Escape");
    expect(shown()).toEqual(["picture", "decision", "heads"]);
  });
});
