// What is done with heads beyond the grid: brush, charts, parts, curves, ways out.

import { act } from "preact/test-utils";
import { describe, expect, it } from "vitest";
import { csv } from "../src/draw/figures";
import { linear, tick } from "../src/draw/scale";
import { headSays } from "../src/state/describe_head";
import { importanceAt } from "../src/state/results";
import { curveTable, importanceTable } from "../src/state/tables";
import { lastHarmless } from "../src/views/heads/curve_panel";
import { order } from "../src/views/heads/head_chart";
import { HeadGrid } from "../src/views/heads/head_grid";
import { encode, STATE, storeOf } from "./fake";
import { find, root, showView } from "./show";

const show = (changes = {}) => showView(HeadGrid, changes);
const fire = (element: Element, type: string, init: MouseEventInit = {}) =>
  act(() => {
    element.dispatchEvent(new MouseEvent(type, { bubbles: true, ...init }));
  });
const press = (element: Element, key: string, init: KeyboardEventInit = {}) =>
  act(() => {
    element.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, ...init }));
  });
const view = (label: string) =>
  [...find("head-view").children].find((b) => b.textContent === label) as Element;

const CURVE = {
  name: "probability",
  metric: "probability" as const,
  values: [0.7, 0.69, 0.72, 0.3, 0.1],
  order: [
    [0, 1],
    [1, 1],
    [0, 0],
    [1, 0],
  ] as [number, number][],
  total: 4,
};

describe("several heads", () => {
  it("are chosen by dragging over them, and pruned at once", async () => {
    const { model, store } = await show();
    await fire(find("head-0-0"), "pointerdown");
    await fire(find("head-1-1"), "pointerenter", { buttons: 1, bubbles: false });
    expect(store.brush.heads.value).toHaveLength(4);
    expect(find("prune-brushed").textContent).toBe("prune 4 heads");
    await fire(find("prune-brushed"), "click");
    expect(model.values.pruned_heads).toHaveLength(4);
    expect(store.brush.heads.value).toHaveLength(0);
    await act(() => store.undo());
    expect(model.values.pruned_heads).toEqual([]);
    await act(() => store.redo());
    expect(model.values.pruned_heads).toHaveLength(4);
    await fire(find("reset"), "click");
    expect(model.values.pruned_heads).toEqual([]);
  });

  it("are chosen by Shift with arrows or click, and let go by Escape", async () => {
    const { model, store } = await show();
    await fire(find("head-0-1"), "click", { shiftKey: true });
    expect(store.brush.heads.value).toEqual([[0, 1]]);
    expect(model.values.selected_layer).toBe(1);
    find("head-1-0").focus();
    await press(find("head-1-0"), "Escape");
    expect(store.brush.heads.value).toEqual([]);
    await press(find("head-1-0"), "ArrowLeft", { shiftKey: true });
    await press(find("head-0-0"), "ArrowDown", { shiftKey: true });
    expect(store.brush.heads.value).toHaveLength(4);
    await press(find("head-0-1"), "p");
    expect(model.values.pruned_heads).toHaveLength(4);
  });

  it("are put back where all of them are pruned", async () => {
    const { model, store } = await show({ pruned_heads: [[0, 1]] });
    store.brush.toggle(0, 1);
    await act(() => store.togglePrunedBrush());
    expect(model.values.pruned_heads).toEqual([]);
  });
});

describe("the grid of heads", () => {
  it("lets go of a head that the focus leaves", async () => {
    const { store } = await show();
    await act(() => find("head-1-0").focus());
    expect(store.hoveredHead.value).toEqual([1, 0]);
    await act(() => find("head-1-0").blur());
    expect(store.hoveredHead.value).toBeNull();
  });

  it("stands as it was left, but whole for a model of other heads", async () => {
    const { model, store } = await show();
    const left = { zoom: 3, x: 2, y: 1 };
    store.headZoom.value = left;
    const info = STATE._model_info as object;
    await act(() => model.kernel("_model_info", { ...info, image_name: "another" }));
    expect(store.headZoom.value).toBe(left);
    await act(() => model.kernel("_model_info", { ...info, num_heads: [4, 4] }));
    expect(store.headZoom.value).toEqual({ zoom: 1, x: 0, y: 0 });
  });
});

describe("pruning", () => {
  it("means the head whose mark has the focus", async () => {
    const { model } = await show();
    find("prune-0-1").focus();
    await fire(find("prune-0-1"), "click");
    expect(model.values.pruned_heads).toEqual([[0, 1]]);
    await press(find("prune-0-1"), "p");
    expect(model.values.pruned_heads).toEqual([]);
    await press(find("head-0-1"), "p", { ctrlKey: true });
    expect(model.values.pruned_heads).toEqual([]);
  });

  it("by Python can be undone here, and another model forgets the past", async () => {
    const { model, store } = await show();
    const pruned = [[1, 1]];
    await act(() => {
      model.kernel("_history", { pruned, undo: [pruned], redo: [] });
      model.kernel("pruned_heads", pruned);
    });
    await act(() => store.undo());
    expect(model.values.pruned_heads).toEqual([]);
    expect(model.values._history).toEqual({ pruned: [], undo: [], redo: [pruned] });
    const info = { ...(model.values._model_info as object), num_heads: [2, 1] };
    await act(() => {
      model.kernel("_history", { pruned: [], undo: [], redo: [] });
      model.kernel("_model_info", info);
    });
    expect(store.canRedo.value).toBe(false);
    await act(() => store.set({ selected_layer: 0, selected_head: 1 }));
    await act(() => store.set({ selected_layer: 1 }));
    expect(model.values.selected_head).toBe(0);
  });

  it("has its own button where cells are too small for a mark", async () => {
    const info = {
      ...(storeOf().model.values._model_info as object),
      num_layers: 24,
      num_heads: new Array(24).fill(2),
    };
    const { model } = await show({ _model_info: info, selected_layer: 3, selected_head: 1 });
    expect(root.querySelector(".vaw-prune")).toBeNull();
    await fire(find("prune-selected"), "click");
    expect(model.values.pruned_heads).toEqual([[3, 1]]);
  });
});

describe("charts", () => {
  it("rank heads of a value by how far they move it, up or down", async () => {
    const values = { ...(STATE._model_info as object), output: "value", num_classes: 1 };
    const { store } = await show({ _model_info: values, class_names: null });
    const info = store.info.value;
    if (!info) throw new Error("no info");
    expect(order(info, store.importance.value, true)).toEqual([
      [0, 0],
      [0, 1],
      [1, 1],
      [1, 0],
    ]);
    expect(headSays(store, 0, 1)).toBe("layer 0, head 1, importance -0.100, second of 3");
    expect(root.textContent).toContain("removing raises it");
    await fire(view("line"), "click");
    expect(root.textContent).toContain("value without the head");
    await act(() => store.set({ metric: "taylor" }));
    expect(root.textContent).toContain("removing matters");
  });

  it("draw the heads along the depth, and by importance", async () => {
    const { store, model } = await show();
    await fire(view("line"), "click");
    expect(root.querySelectorAll("[data-testid=head-chart] circle")).toHaveLength(4);
    await fire(view("ranked"), "click");
    expect(root.querySelectorAll("[data-testid=head-chart] > rect")).toHaveLength(4);
    const info = store.info.value;
    if (!info) throw new Error("no info");
    expect(order(info, store.importance.value, true)).toEqual([
      [0, 0],
      [1, 1],
      [0, 1],
      [1, 0],
    ]);
    const chart = root.querySelector(".vaw-chart") as HTMLElement;
    await press(chart, "Home");
    await press(chart, "ArrowRight");
    expect(chart.getAttribute("aria-valuetext")).toContain("layer 1, head 1");
    await press(chart, "Enter");
    expect([model.values.selected_layer, model.values.selected_head]).toEqual([1, 1]);
    await press(chart, "p");
    expect(model.values.pruned_heads).toEqual([[1, 1]]);
  });

  it("choose the heads of a stretch", async () => {
    const { store } = await show();
    await fire(view("line"), "click");
    const svg = find("head-chart");
    svg.getBoundingClientRect = () => ({ left: 0, top: 0, width: 640, height: 190 }) as DOMRect;
    const at = (i: number) => ({ clientX: 44 + ((i + 1) / 5) * (640 - 54), buttons: 1 });
    await fire(svg, "pointerdown", at(1));
    await fire(svg, "pointermove", at(3));
    expect(store.brush.heads.value).toEqual([
      [0, 1],
      [1, 0],
      [1, 1],
    ]);
  });

  it("show the estimate where the exact value is not there yet", async () => {
    const nan = new Float32Array(4).fill(Number.NaN);
    const taylor = new Float32Array([0.5, 0.1, 0.3, 0.2]);
    const { store } = await show({
      _importance_data: encode(
        { probability: { shape: [2, 2], data: nan }, taylor: { shape: [2, 2], data: taylor } },
        { baseline: "0.7" },
      ),
    });
    expect(find("head-1-0").getAttribute("aria-label")).toContain("gradient's estimate 0.300");
    expect(root.querySelector(".vaw-shimmer")).toBeNull();
    await act(() => store.set({ metric: "taylor" }));
    expect(importanceAt(store.importance.value, 1, 0)).toBeCloseTo(0.3);
  });
});

describe("parts of one head", () => {
  it("are asked for when the panel is open, and for each head once", async () => {
    const { model, store } = await show();
    const asked = () => model.sent.filter((m) => m.method === "partial").map((m) => m.params);
    expect(asked()).toEqual([]);
    await fire(find("fold-partial"), "click");
    expect(asked()).toEqual([{ layer: 1, head: 0 }]);
    await act(() => store.set({ selected_head: 1 }));
    expect(asked()).toHaveLength(2);
    const rows = [
      {
        mode: "none",
        zeroed: [
          [false, false],
          [false, false],
        ],
        probability: 0.7,
        top5: [["<b>", 0.7]],
      },
      {
        mode: "corner",
        zeroed: [
          [true, false],
          [false, false],
        ],
        probability: 0.1,
        top5: [["heart", 0.9]],
      },
    ];
    await act(() => model.kernel("partial", { layer: 1, head: 1, rows }));
    expect(find("partial").querySelectorAll("tbody tr")).toHaveLength(2);
    expect(find("partial").textContent).toContain("0.100");
    expect(find("partial").querySelector("tbody b")).toBeNull();
    await act(() => store.set({ selected_head: -1 }));
    expect(root.textContent).toContain("Choose one head");
    await act(() => store.set({ selected_head: 0, pruned_heads: [[1, 0]] }));
    expect(root.textContent).toContain("nothing of it is left");
  });
});

describe("pruning curve", () => {
  it("is asked for by order, and says how far pruning is harmless", async () => {
    const { model } = await show();
    await fire(find("fold-curve"), "click");
    await fire(find("curve-greedy"), "click");
    expect(model.sent.at(-1)).toMatchObject({ method: "curve", params: { order: "greedy" } });
    await act(() => model.kernel("curves", { probability: CURVE }));
    expect(root.querySelectorAll("[data-testid=curve] polyline")).toHaveLength(1);
    expect(lastHarmless(CURVE)).toBe(2);
    const values = { ...CURVE, values: [-10, -10.4, -9.6, -11, -10] };
    expect(lastHarmless(values, true)).toBe(2);
    const button = [...root.querySelectorAll("button")].find((b) =>
      b.textContent?.includes("prune the first 2"),
    );
    await fire(button as Element, "click");
    expect(model.values.pruned_heads).toEqual([
      [0, 1],
      [1, 1],
    ]);
  });

  it("says what its pictures are of, in both directions", async () => {
    const { store } = await show();
    expect(root.textContent).toContain("each picture: what the class token attends to");
    await act(() => store.set({ direction: "attended_by", selected_token: 6 }));
    expect(root.textContent).toContain("each picture: what attends to patch (1, 2)");
  });

  it("counts on labelled images", async () => {
    const { model } = await show();
    await act(() => model.kernel("accuracy", { before: 0.9, after: null, count: 20 }));
    expect(find("accuracy").textContent).toBe("accuracy 90 % (n = 20)");
    await act(() => model.kernel("accuracy", { before: 0.9, after: 0.4, count: 20 }));
    expect(find("accuracy").textContent).toBe("accuracy 90 % → 40 % (n = 20)");
    const colored = async (before: number, after: number) => {
      await act(() => model.kernel("accuracy", { before, after, count: 20 }));
      return find("accuracy").querySelector("b")?.className;
    };
    expect(await colored(0.9, 0.4)).toBe("vaw-worse");
    expect(await colored(0.4, 0.9)).toBe("vaw-better");
    expect(await colored(1, 1)).toBe("");
    expect(await colored(0.999, 0.998)).toBe(""); // 100 % and 100 %
  });
});

describe("pruning to a budget", () => {
  it("is asked for by how far the accuracy or probability may fall", async () => {
    const { model } = await show();
    await fire(find("fold-curve"), "click");
    expect(root.textContent).toContain("until the probability falls by");
    await act(() => model.kernel("accuracy", { before: 0.9, after: null, count: 20 }));
    expect(root.textContent).toContain("until the accuracy falls by");
    const fall = find("prune-until-fall") as unknown as HTMLSelectElement;
    await act(() => {
      fall.value = "5";
      fall.dispatchEvent(new Event("change", { bubbles: true }));
    });
    await fire(find("prune-until"), "click");
    expect(model.sent.at(-1)).toMatchObject({ method: "prune_to", params: { fall: 5 } });
  });

  it("ends in a file, whose path is said while the same heads are pruned", async () => {
    const { model } = await show({ pruned_heads: [[1, 0]] });
    await fire(find("save-model"), "click");
    await fire(find("save-model-ONNX"), "click");
    expect(model.sent.at(-1)).toMatchObject({ method: "save_model", params: { format: "ONNX" } });
    await act(() =>
      model.kernel("_saved_model", { path: "/home/me/small.onnx", heads: 1, bytes: 2_500_000 }),
    );
    expect(find("saved-model").textContent).toContain("/home/me/small.onnx (2.5 MB)");
  });
});

describe("ways out", () => {
  it("writes tables whose cells cannot break out", async () => {
    const { store } = await show();
    expect(csv(["a"], [['x"y,z'], [1.5]])).toBe('"a"\r\n"x""y,z"\r\n1.5');
    expect(csv(["=a"], [["+1"], ["@b"], [-1.5]])).toBe(`"'=a"\r\n"'+1"\r\n"'@b"\r\n-1.5`);
    const info = store.info.value;
    if (!info) throw new Error("no info");
    const lines = importanceTable(info, store.importance.value).split("\r\n");
    expect(lines).toHaveLength(5);
    expect(lines[0]).toBe('"layer","head","probability"');
    expect(lines[1]?.startsWith("0,0,0.4")).toBe(true);
    expect(curveTable({ probability: CURVE }).split("\r\n")[2]).toBe('"probability",1,0,1,0.69');
    expect(find("save-heads")).not.toBeNull();
  });

  it("has axes with round numbers", () => {
    const scale = linear(0, 0.7, 0, 70);
    expect(scale.at(0.35)).toBeCloseTo(35);
    expect(scale.ticks.map((t) => tick(t, 0.2))).toEqual(["0", "0.2", "0.4", "0.6"]);
    expect([-0.0004, -0, 0.0002, 0.001].map((t) => tick(t, 0.0002))).toEqual([
      "−4e−4",
      "0",
      "2e−4",
      "1e−3",
    ]);
    expect([-0.005, 20_000, 250_000].map((t, i) => tick(t, [0.005, 1e4, 1e5][i] ?? 1))).toEqual([
      "−0.005",
      "20000",
      "3e5",
    ]);
    expect(linear(3, 3, 0, 10).at(3)).toBe(0);
  });
});
