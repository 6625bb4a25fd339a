import { act } from "preact/test-utils";
import { describe, expect, it } from "vitest";
import { decode } from "../src/protocol/safetensors";
import type { Comparison, ModelInfo } from "../src/protocol/schema";
import {
  agreement,
  ranked,
  rho,
  says,
  scaled,
  scaleOf,
  scaleSays,
  shownOf,
  tag,
} from "../src/state/comparison";
import { CompareMaps } from "../src/views/compare/compare_maps";
import { cellColors } from "../src/views/compare/compare_matrix";
import { encode, STATE, settle } from "./fake";
import { drawn } from "./setup";
import { find, root, showView } from "./show";

const INFO = STATE._model_info as ModelInfo;
const METHODS: Comparison = {
  of: "methods",
  method: "daam",
  classes: [],
  asked: "",
  names: ["daam", "rollout", "other"],
  keys: ["daam", "rollout", "other"],
  notes: ["", "", ""],
  files: [],
  correlation: [
    [1, 0.5, -0.25],
    [0.5, 1, null],
    [-0.25, null, 1],
  ],
  skipped: { legrad: "it does not work here." },
  target: "star",
  total: 3,
  area: [0, 0, 1, 1],
  version: 1,
  stamp: 4,
};
const CLASSES: Comparison = {
  ...METHODS,
  of: "classes",
  names: ["star", "heart", "starfish"],
  keys: [1, 0, 2],
  notes: ["70 %", "20 %", "10 %"],
  classes: [2],
  skipped: {},
};
const DATA = new Float32Array([0, 1, 2, 3, 4, 5, 0, 0, 0, 0, 0, 10, 5, 4, 3, 2, 1, -1]);
const maps = (stamp: number) =>
  encode({ maps: { shape: [3, 2, 3], data: DATA } }, { stamp: `${stamp}` });
const there = (comparison: Comparison) => ({
  _comparison: comparison,
  _comparison_maps: maps(comparison.stamp),
});

const show = (changes: Record<string, unknown> = {}) => showView(CompareMaps, changes);
const click = (element: Element | null) =>
  act(async () => {
    element?.dispatchEvent(new MouseEvent("click", { bubbles: true }));
    await settle();
  });
const asked = (sent: Record<string, unknown>[]) =>
  sent.filter(({ method }) => method === "compare").map(({ params }) => params);

describe("comparisons", () => {
  const shown = (comparison = METHODS) => {
    const shown = shownOf(comparison, decode(maps(comparison.stamp)));
    if (!shown) throw new Error("nothing is shown");
    return shown;
  };

  it("belong to the maps that came with them", () => {
    expect(shownOf(METHODS, decode(maps(3)))).toBeNull();
    expect(shownOf({ of: "methods" }, decode(maps(4)))).toBeNull();
    expect(shownOf(METHODS, null)).toBeNull();
    expect(shown().maps).toEqual(DATA);
    const half = encode(
      {
        maps: { shape: [2, 1, 2], data: new Float32Array([0.5, 1, 1, 0]) },
        scale: { shape: [2], data: new Float32Array([10, 0.1]) },
      },
      { stamp: "4" },
    );
    const values = shownOf(METHODS, decode(half))?.maps ?? [];
    expect([...values].map((v) => Number(v.toFixed(4)))).toEqual([5, 10, 0.1, 0]);
  });

  it("share a scale, have their own, or go by rank", () => {
    const range = (scale: "shared" | "own" | "rank") =>
      [0, 1, 2].map((item) => scaled(shown(), scale).range(item));
    expect(range("shared")).toEqual([
      [-1, 10],
      [-1, 10],
      [-1, 10],
    ]);
    expect(range("own")).toEqual([
      [0, 5],
      [0, 10],
      [-1, 5],
    ]);
    expect(range("rank")).toEqual([
      [0, 1],
      [0, 1],
      [0, 1],
    ]);
  });

  it("rank equal values alike", () => {
    const ranks = ranked(new Float32Array([3, 1, 3, 2, 9, 9, 9, 9]), 4);
    const thirds = [...ranks].map((value) => Number((value * 6).toFixed(4)));
    expect(thirds).toEqual([5, 0, 5, 2, 3, 3, 3, 3]);
  });

  it("of several methods or models never share values", () => {
    expect(scaleOf("models", "shared")).toBe("own");
    expect(scaleSays("models", "own")).toContain("the models' units differ");
    expect(scaleOf("methods", null)).toBe("own");
    expect(scaleOf("methods", "shared")).toBe("own");
    expect(scaleOf("methods", "rank")).toBe("rank");
    expect(scaleOf("layers", null)).toBe("shared");
    expect(scaleOf("layers", "own")).toBe("own");
    expect(scaleSays("methods", "own")).toContain("units differ");
    expect(scaleSays("classes", "own")).toContain("weak map");
  });

  it("are told in words", () => {
    expect(agreement(METHODS, 0)).toBeCloseTo(0.125);
    expect(agreement(METHODS, 1)).toBeCloseTo(0.5);
    expect([rho(-0.123), rho(0.5), rho(null), rho(-0.001)]).toEqual(["−0.12", "0.50", "–", "0.00"]);
    expect(says(INFO, METHODS, null)).toBe(
      "Most alike: DAAM and rollout (0.50). Least alike: DAAM and other (−0.25).",
    );
    expect(says(INFO, METHODS, 0)).toBe(
      "DAAM is most like rollout (0.50), least like other (−0.25).",
    );
    const none = [[null, null], [null, null]]; // biome-ignore format: a table
    expect(says(INFO, { ...METHODS, correlation: none, keys: ["daam", "rollout"] }, 0)).toContain(
      "the same everywhere",
    );
    const same = [[1, 1], [1, 1]]; // biome-ignore format: a table
    const classes = { ...CLASSES, correlation: same, keys: [1, 0] };
    expect(says(INFO, classes, null)).toContain("class-agnostic");
    expect(says(INFO, { ...METHODS, keys: ["daam"] }, null)).toContain("One map alone");
    expect([tag(METHODS, 1), tag({ ...METHODS, of: "layers", keys: [0, 1, 2] }, 1)]).toEqual([
      "B",
      "1",
    ]);
  });

  it("are readable on every color", () => {
    for (let value = -1; value <= 1; value += 0.05) {
      const { background, color } = cellColors(value);
      const linear = (background.match(/\d+/g) ?? []).map((c) => {
        const share = Number(c) / 255;
        return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
      });
      const light =
        0.2126 * (linear[0] ?? 0) + 0.7152 * (linear[1] ?? 0) + 0.0722 * (linear[2] ?? 0);
      const contrast = color === "#000" ? (light + 0.05) / 0.05 : 1.05 / (light + 0.05);
      expect(contrast).toBeGreaterThan(4.5);
    }
  });
});

describe("the compare view", () => {
  it("asks the kernel, again after every trace, and not for what is there", async () => {
    const { model } = await show();
    expect(asked(model.sent)).toEqual([{ of: "methods", method: "daam", classes: [] }]);
    expect(root.textContent).toContain("Comparing methods");
    await act(() => {
      model.kernel("_comparison_maps", maps(4));
      model.kernel("_comparison", METHODS);
    });
    expect(find("compare-maps").children).toHaveLength(3);
    await act(() => model.kernel("_version", 2));
    expect(asked(model.sent)).toHaveLength(2);
    expect(root.querySelector(".vaw-stale")).not.toBeNull();
    await act(() => model.kernel("_comparison", { ...METHODS, version: 2 }));
    expect(root.querySelector(".vaw-stale")).toBeNull();
    expect(asked(model.sent)).toHaveLength(2);
  });

  it("does not ask for what Python compared", async () => {
    const { model } = await show(there(METHODS));
    expect(asked(model.sent)).toEqual([]);
  });

  it("shows each map with what it agrees with, and selects it", async () => {
    const before = drawn.length;
    const { model } = await show(there(METHODS));
    expect(drawn.length).toBeGreaterThan(before);
    expect(find("compare-says").textContent).toContain("Most alike: DAAM and rollout (0.50)");
    expect(find("rho-0").textContent).toBe("mean ρ 0.13");
    expect(root.textContent).toContain("it does not work here.");
    await act(() => {
      find("compare-1").dispatchEvent(new MouseEvent("pointerover", { bubbles: true }));
    });
    expect(find("rho-0").textContent).toBe("ρ 0.50 with B");
    expect(find("compare-says").textContent).toContain("rollout is most like DAAM (0.50)");
    expect(find("compare-0").getAttribute("aria-selected")).toBe("true");
    await click(find("compare-1"));
    expect(model.values.method).toBe("rollout");
    expect(asked(model.sent)).toEqual([]); // all methods are there already
  });

  it("has one tab stop, and arrows walk", async () => {
    const { model } = await show(there(CLASSES));
    const stops = () => [...root.querySelectorAll('[role="option"][tabindex="0"]')];
    expect(stops()).toEqual([find("compare-0")]);
    const press = (key: string) =>
      act(() => {
        const on = document.activeElement?.closest('[role="option"]') ?? find("compare-0");
        on.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
      });
    await act(() => find("compare-0").focus());
    await press("ArrowRight");
    expect(document.activeElement).toBe(find("compare-1"));
    expect(stops()).toEqual([find("compare-1")]);
    expect(find("compare-says").textContent).toContain("heart is most like star");
    expect(model.values.target).toBe(1);
    await press("Enter");
    expect(model.values.target).toBe(0);
    await press("End");
    expect(document.activeElement).toBe(find("compare-2"));
  });

  it("selects layers and images", async () => {
    const layers = { ...METHODS, of: "layers", keys: [0, 1, 2] } as Comparison;
    const { model } = await show(there(layers));
    await click(find("compare-0"));
    expect(model.values.selected_layer).toBe(0);
    const info = { ...INFO, set_size: 9 };
    const images = { ...layers, of: "images", total: 9, files: ["a.png", "", ""] } as Comparison;
    const other = await show({ ...there(images), _model_info: info });
    expect(root.textContent).toContain("the first 3 of 9 images");
    expect(find("compare-0").dataset.tip).toBe("a.png");
    await click(find("compare-2"));
    expect(other.model.values.selected_image).toBe(2);
    const pictures = other.model.sent.filter(({ method }) => method === "image");
    expect(pictures.map(({ params }) => params)).toEqual([{ index: 0 }]); // one after another
  });

  it("offers what there is, and turns to it at once", async () => {
    const { model } = await show(there(METHODS));
    const kinds = () => [...find("compare-of").children].map((child) => child.textContent);
    expect(kinds()).toEqual(["methods", "classes", "layers"]); // no set of images
    expect(find("compare-method")).toBeNull();
    expect(find("compare-scale").children).toHaveLength(2);
    await click(find("compare-of").children[2] ?? null);
    expect(asked(model.sent)).toEqual([{ of: "layers", method: "daam", classes: [] }]);
    expect(root.textContent).toContain("Comparing layers");
    expect(find("compare-scale").children).toHaveLength(3);
    await act(() => model.kernel("_comparison", { ...METHODS, asked: "layers" }));
    const bare = { ...INFO, num_classes: 0 };
    await act(() => model.kernel("_model_info", bare));
    expect(kinds()).toEqual(["methods", "layers"]);
  });

  it("follows the selected method, where one method is compared", async () => {
    const { model, store } = await show(there(CLASSES));
    await act(async () => {
      store.set({ method: "rollout" });
      await settle();
    });
    expect(asked(model.sent)).toEqual([{ of: "classes", method: "rollout", classes: [2] }]);
  });

  it("adds classes and takes them away", async () => {
    const { model } = await show(there(CLASSES));
    await click(find("added-2"));
    expect(asked(model.sent).at(-1)).toMatchObject({ of: "classes", classes: [] });
    await act(() => find("add-class").focus());
    await click(root.querySelector(".vaw-options li:nth-child(2)") as Element);
    expect(asked(model.sent).at(-1)).toMatchObject({ of: "classes", classes: [2, 0] });
    expect(model.values.target).toBe(1);
  });

  it("reads a pair from the table", async () => {
    await show(there(METHODS));
    const cell = find("compare-matrix").querySelector('td[data-i="0"][data-j="2"]');
    await act(() => {
      cell?.dispatchEvent(new MouseEvent("pointerover", { bubbles: true }));
    });
    expect(find("compare-says").textContent).toBe("DAAM and other: −0.25");
    expect(cell?.textContent).toBe("−0.25");
    expect(find("compare-matrix").textContent).toContain("–");
  });

  it("says which scale is on, and remembers the choice", async () => {
    const { model } = await show(there(METHODS));
    expect(find("compare-scale-says").textContent).toContain("units differ");
    await click(find("compare-scale").children[1] ?? null);
    expect(find("compare-scale-says").textContent).toContain("by rank");
    await act(() => model.kernel("_comparison", CLASSES));
    expect(find("compare-scale-says").textContent).toContain("by rank");
    await click(find("compare-scale").children[0] ?? null);
    expect(find("compare-scale-says").textContent).toContain("One scale for all maps");
  });

  it("can be asked again after it was cancelled", async () => {
    const { model } = await show();
    await act(() =>
      model.kernel("_comparison", { of: "methods", method: "daam", asked: "", classes: [] }),
    );
    const message = model.sent.find(({ method }) => method === "compare");
    await act(async () => {
      model.emit("msg:custom", { id: message?.id, error: { message: "No.", hint: "" } }, []);
      await settle();
    });
    expect(root.querySelector('[role="alert"]')?.textContent).toBe("No.");
    await click(find("compare-now"));
    expect(asked(model.sent)).toHaveLength(2);
  });
});
