// The decision by layer: asked for when it is open, lines and patches, and what it says.

import { act } from "preact/test-utils";
import { describe, expect, it } from "vitest";
import { layerDecisionsOf } from "../src/state/layer_decisions";
import { DecisionByLayer } from "../src/views/decision_by_layer/decision_by_layer";
import { spread } from "../src/views/decision_by_layer/line_labels";
import { encode, settle, storeOf } from "./fake";
import { TRAITS } from "./fixtures/session";
import { find, root, showView } from "./show";

const METADATA = {
  version: "1",
  target: "1",
  target_name: "star",
  refused: "",
  patches_refused: "",
};
const floats = (shape: number[], values: number[]) => ({ shape, data: new Float32Array(values) });
const LAYERS = {
  classes: floats([2], [1, 0]),
  lines: floats([2, 2], [0.2, 0.7, 0.5, 0.2]),
  best: floats([2, 2], [0.5, 0.2, 0.7, 0.2]),
  best_classes: floats([2, 2], [0, 1, 1, 0]),
};
const TENSORS = {
  ...LAYERS,
  patch_values: floats([2, 2, 3, 1], [0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 1, 1, 1, 1, 1, 0.5]),
  patch_classes: floats([2, 2, 3, 1], [0, 0, 0, 2, 1, 1, 1, 1, 1, 1, 1, 2]),
  patch_target: floats([2, 2, 3], [0, 0, 0, 0.1, 0.5, 0.4, 1, 1, 1, 1, 1, 0.1]),
};
const data = (tensors = {}, metadata = {}) => encode(tensors, { ...METADATA, ...metadata });
const show = (changes = {}) => showView(DecisionByLayer, changes);
const asked = (sent: Record<string, unknown>[]) =>
  sent.filter(({ method }) => method === "layer_decisions").length;

describe("decision by layer", () => {
  it("asks the kernel when it opens, and again for another trace", async () => {
    const { model } = await show();
    expect(asked(model.sent)).toBe(1);
    expect(root.textContent).toContain("Reading out every layer");
    await act(() => model.kernel("_layer_decisions", data(TENSORS)));
    expect(find("by-layer-says").textContent).toBe(
      "From layer 1 on it would say star, 70 % in the end; after layer 0 it would still say heart.",
    );
    expect(root.querySelector(".vaw-stale")).toBeNull();
    await act(() => model.kernel("_version", 2));
    expect(asked(model.sent)).toBe(2);
    expect(root.querySelector(".vaw-stale")).not.toBeNull();
    await act(() => {
      find("by-layer-again").dispatchEvent(new MouseEvent("click", { bubbles: true }));
    });
    expect(asked(model.sent)).toBe(3);
  });

  it("reads values where the pointer is, selects by a click and by keys", async () => {
    const { model, store } = await show({ _layer_decisions: data(TENSORS) });
    expect(asked(model.sent)).toBe(0);
    expect(find("layer-values").textContent).toContain("after layer 1:star 70 %heart 20 %");
    const svg = find("layer-lines");
    await act(() => {
      svg.dispatchEvent(new MouseEvent("pointermove", { clientX: 30, bubbles: true }));
    });
    expect(find("layer-values").textContent).toContain("after layer 0:heart 50 %star 20 %");
    expect(store.hoveredMap.value?.name).toBe("where patches would say star after layer 0");
    expect(model.values.selected_layer).toBe(1);
    await act(() => {
      svg.dispatchEvent(new MouseEvent("click", { clientX: 30, bubbles: true }));
    });
    expect(model.values.selected_layer).toBe(0);
    await act(() => {
      svg.dispatchEvent(new MouseEvent("pointerleave", { bubbles: true }));
    });
    expect(store.hoveredMap.value).toBeNull();
    const slider = root.querySelector(".vaw-layer-lines") as HTMLElement;
    expect(slider.getAttribute("aria-valuetext")).toBe("layer 0: heart 50 %, star 20 %");
    await act(() => {
      slider.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowRight", bubbles: true }));
    });
    expect(model.values.selected_layer).toBe(1);
  });

  it("says what each patch would say, and explains a class of the legend", async () => {
    const { model, store } = await show({ _layer_decisions: data(TENSORS), selected_layer: 0 });
    const legend = [...find("patch-legend").querySelectorAll("button")];
    expect(legend.map(({ textContent }) => textContent)).toEqual([
      "heart 3",
      "star 2",
      "starfish 1",
    ]);
    await act(() => {
      store.hovered.value = 1 + 3;
    });
    expect(find("patch-says").textContent).toBe("patch (1, 0) after layer 0: starfish 60 %");
    await act(() => {
      legend[0]?.dispatchEvent(new MouseEvent("click", { bubbles: true }));
    });
    expect(model.values.target).toBe(0);
  });

  it("shows values before pruning", async () => {
    const lines_before = floats([2, 2], [0.1, 0.9, 0.6, 0.05]);
    await show({ _layer_decisions: data({ ...TENSORS, lines_before }) });
    expect(find("layer-values").textContent).toContain("star 70 % was 90 %");
    expect(find("layer-lines").querySelectorAll("polyline[stroke-dasharray]")).toHaveLength(2);
  });

  it("shows why patches, or layers, cannot be read out", async () => {
    const why = "It pools its tokens by attention.";
    const { model } = await show({ _layer_decisions: data(LAYERS, { patches_refused: why }) });
    expect(root.textContent).toContain(why);
    expect(find("layer-lines")).not.toBeNull();
    await act(() => model.kernel("_layer_decisions", data({}, { refused: "No classes <b>." })));
    expect(find("by-layer-refused").textContent).toContain("No classes <b>.");
    expect(find("layer-lines")).toBeNull();
  });

  it("says why a request failed", async () => {
    const { model } = await show();
    const { id } = model.sent.find(({ method }) => method === "layer_decisions") ?? {};
    await act(async () => {
      model.emit("msg:custom", { id, error: { message: "The kernel is busy." } }, []);
      await settle();
    });
    expect(root.querySelector('[role="alert"]')?.textContent).toBe("The kernel is busy.");
  });

  it("reads what a session sends", () => {
    const { store } = storeOf({ ...TRAITS }, false);
    const decisions = layerDecisionsOf(store.layerDecisions.value);
    const rows = store.decision.value?.rows ?? [];
    const [end] = decisions?.best((decisions?.layers ?? 0) - 1) ?? [];
    expect(end?.index).toBe(rows[0]?.index);
    expect(end?.value).toBeCloseTo(rows[0]?.after ?? Number.NaN, 5);
    expect(decisions?.lines[0]?.before?.at(-1)).toBeCloseTo(rows[0]?.before ?? Number.NaN, 5);
    const counts = decisions?.patches?.counts(0) ?? [];
    expect(counts.reduce((sum, { count }) => sum + count, 0)).toBe(100);
  });
});

describe("labels at line ends", () => {
  it("never stand over each other, nor leave the chart", () => {
    for (const wanted of [[50, 51, 52], [190, 190, 190, 190], [0, 0, 100], []]) {
      const heights = spread(wanted, 14, 10, 180).sort((a, b) => a - b);
      heights.forEach((height, i) => {
        expect(height).toBeGreaterThanOrEqual(10);
        expect(height).toBeLessThanOrEqual(180);
        if (i > 0) expect(height - (heights[i - 1] ?? 0)).toBeGreaterThanOrEqual(14 - 1e-9);
      });
    }
    expect(spread([20, 100], 14, 10, 180)).toEqual([20, 100]);
  });
});
