import { act } from "preact/test-utils";
import { describe, expect, it } from "vitest";
import { Decision } from "../src/views/decision/decision";
import { Explorer } from "../src/views/explorer/explorer";
import { HeadGrid } from "../src/views/heads/head_grid";
import { Inspector } from "../src/views/inspector/inspector";
import { Scrubber } from "../src/views/layers/scrubber";
import { encode, STATE, storeOf } from "./fake";
import { find, root, showInShell } from "./show";

const press = (element: Element, key: string) =>
  act(() => {
    element.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));
  });
const click = (element: Element) =>
  act(() => {
    element.dispatchEvent(new MouseEvent("click", { bubbles: true }));
  });

describe("inspector", () => {
  it("says what is shown, and walks by arrows", async () => {
    const { model } = await showInShell(Inspector);
    expect(root.textContent).toContain("class token");
    expect(root.textContent).toContain("attends to");
    const picture = root.querySelector(".vaw-picture") as HTMLElement;
    await press(picture, "ArrowRight");
    expect(model.values.selected_token).toBe(2);
    await press(picture, "ArrowDown");
    expect(model.values.selected_token).toBe(5);
    await press(picture, "Escape");
    expect(model.values.selected_token).toBe(0);
  });

  it("goes back to the class token, wherever it stands, and nowhere without one", async () => {
    const back = async (prefix: string[], selected: number) => {
      const info = { ...(STATE._model_info as object), prefix, num_tokens: 6 + prefix.length };
      const { model } = await showInShell(Inspector, {
        _model_info: info,
        selected_token: selected,
      });
      const picture = root.querySelector(".vaw-picture") as HTMLElement;
      await press(picture, "Escape");
      const byKey = model.values.selected_token;
      await act(() => void model.kernel("selected_token", selected));
      await act(() => void picture.dispatchEvent(new MouseEvent("dblclick", { bubbles: true })));
      return [byKey, model.values.selected_token];
    };
    expect(await back(["register 0", "register 1", "class"], 5)).toEqual([2, 2]);
    expect(await back(["register 0"], 5)).toEqual([5, 5]);
    expect(await back([], 5)).toEqual([5, 5]);
  });

  it("selects the patch under the pointer", async () => {
    const { model, store } = await showInShell(Inspector);
    const canvas = find("patch-canvas");
    canvas.getBoundingClientRect = () => ({ left: 0, top: 0, width: 300, height: 200 }) as DOMRect;
    const at = { clientX: 150, clientY: 150, bubbles: true };
    await act(() => {
      canvas.dispatchEvent(new MouseEvent("pointermove", at));
    });
    expect(store.hovered.value).toBe(5);
    await act(() => {
      canvas.dispatchEvent(new MouseEvent("pointerdown", at));
    });
    expect(model.values.selected_token).toBe(5);
  });

  it("offers prefix tokens, directions and every head", async () => {
    const { model } = await showInShell(Inspector);
    expect(root.querySelector(".vaw-chip")?.textContent).toContain("class");
    const lookedAt = [...root.querySelectorAll('[role="radio"]')].find(
      (b) => b.textContent === "attended by",
    );
    await click(lookedAt as Element);
    expect(model.values.direction).toBe("attended_by");
    expect(root.querySelectorAll(".vaw-small")).toHaveLength(3);
    await click(root.querySelectorAll(".vaw-small")[0] as Element);
    expect(model.values.selected_head).toBe(-1);
  });
});

describe("head grid", () => {
  it("is a grid with one tab stop that speaks", async () => {
    await showInShell(HeadGrid);
    const cells = [...root.querySelectorAll('[role="gridcell"]')];
    expect(cells).toHaveLength(4);
    expect(cells.filter((cell) => cell.getAttribute("tabindex") === "0")).toHaveLength(1);
    expect(find("head-0-0").getAttribute("aria-label")).toBe(
      "layer 0, head 0, importance 0.400, first of 3",
    );
    expect(find("head-1-0").getAttribute("aria-label")).toContain("not known yet");
    expect(find("head-1-0").querySelector(".vaw-shimmer")).not.toBeNull();
    expect(find("head-1-0").getAttribute("aria-selected")).toBe("true");
  });

  it("selects by click and moves by arrows", async () => {
    const { model } = await showInShell(HeadGrid);
    await click(find("head-0-1"));
    expect([model.values.selected_layer, model.values.selected_head]).toEqual([0, 1]);
    find("head-0-1").focus();
    await press(find("head-0-1"), "ArrowRight");
    expect(document.activeElement).toBe(find("head-1-1"));
    await press(find("head-1-1"), "Enter");
    expect(model.values.selected_layer).toBe(1);
  });

  it("prunes by its mark and by key, and undoes", async () => {
    const { model } = await showInShell(HeadGrid);
    await click(find("prune-0-1"));
    expect(model.values.pruned_heads).toEqual([[0, 1]]);
    expect(find("head-0-1").getAttribute("aria-label")).toBe("layer 0, head 1, pruned");
    find("head-1-0").focus();
    await press(find("head-1-0"), "p");
    expect(model.values.pruned_heads).toEqual([
      [0, 1],
      [1, 0],
    ]);
    await press(find("head-1-0"), "z");
    expect(model.values.pruned_heads).toEqual([[0, 1]]);
    await press(find("head-1-0"), "Z");
    expect(model.values.pruned_heads).toEqual([
      [0, 1],
      [1, 0],
    ]);
  });

  it("has room for layers with different numbers of heads", async () => {
    const info = { ...(storeOf().model.values._model_info as object), num_heads: [1, 2] };
    await showInShell(HeadGrid, { _model_info: info });
    expect(root.querySelectorAll('[role="gridcell"]')).toHaveLength(3);
  });
});

describe("scrubber", () => {
  it("scrubs by slider, frame and arrow", async () => {
    const { model } = await showInShell(Scrubber);
    const slider = find("layer-slider") as HTMLInputElement;
    await act(() => {
      slider.value = "0";
      slider.dispatchEvent(new Event("input", { bubbles: true }));
    });
    expect(model.values.selected_layer).toBe(0);
    await click(find("frame-1"));
    expect(model.values.selected_layer).toBe(1);
    await press(find("frame-1"), "ArrowLeft");
    expect(model.values.selected_layer).toBe(0);
    expect(find("frame-0").textContent).toBe("layer 0, 14 % of the map");
  });

  it("shows before and after only while heads are pruned", async () => {
    const { model } = await showInShell(Scrubber);
    expect(root.textContent).not.toContain("after pruning");
    const data = new Float32Array(12);
    const maps = encode({
      daam: { shape: [2, 2, 3], data },
      "daam.before": { shape: [2, 2, 3], data },
    });
    await act(() => model.kernel("_maps", maps));
    expect(root.textContent).toContain("after pruning");
  });

  it("changes the method", async () => {
    const { model } = await showInShell(Scrubber);
    await click([...find("method").children].at(1) as Element);
    expect(model.values.method).toBe("rollout");
  });
});

describe("decision", () => {
  it("says what it is now, and what it was", async () => {
    const { model } = await showInShell(Decision);
    expect(root.textContent).toContain("star 70 %");
    const decision = {
      ...(model.values.decision as object),
      target_after: 0.1,
      pruned: [[0, 1]],
      rows: [{ index: 1, name: "star", before: 0.7, after: 0.1 }],
    };
    await act(() => model.kernel("decision", decision));
    expect(root.textContent).toContain("star 10 % (was 70 %)");
    const rows = [{ index: 2, name: "ring", before: 0.2, after: 0.85 }, ...decision.rows];
    await act(() => model.kernel("decision", { ...decision, rows }));
    expect(root.textContent).toContain("ring 85 % (was star 70 %)");
    expect(root.querySelectorAll(".vaw-before")).toHaveLength(2);
  });

  it("explains the class whose row is clicked", async () => {
    const { model } = await showInShell(Decision);
    const rows = [
      { index: 1, name: "star", before: 0.7, after: null },
      { index: 2, name: "ring", before: 0.2, after: null },
    ];
    const decision = { ...(model.values.decision as object), target: 1, rows };
    await act(() => model.kernel("decision", decision));
    expect(find("explain-1").getAttribute("aria-pressed")).toBe("true");
    await click(find("explain-2"));
    expect(model.values.target).toBe(2);
  });

  it("draws bars for probabilities only", async () => {
    const rows = [
      { index: 0, name: "heart", before: 0.9, after: 0.4 },
      { index: 1, name: "star", before: 0.8, after: 0.7 },
    ];
    const decision = { ...(STATE.decision as object), target_after: 0.7, pruned: [[0, 1]], rows };
    const info = STATE._model_info as object;
    const { model } = await showInShell(Decision, {
      decision,
      _model_info: { ...info, output: "sigmoid" },
    });
    const widths = [...root.querySelectorAll<HTMLElement>(".vaw-before")].map((b) => b.style.width);
    expect(widths).toEqual(["90%", "80%"]);
    const now = [...root.querySelectorAll<HTMLElement>(".vaw-now")].map((b) => b.style.width);
    expect(now).toEqual(["40%", "70%"]);
    expect(root.textContent).toContain("need not add up to 1");
    const values = [{ index: 0, name: "age", before: 43.72, after: -1.5 }];
    const value = { target: 0, target_name: "age", target_before: 43.72, target_after: -1.5 };
    await act(() => {
      model.kernel("_model_info", {
        ...info,
        output: "value",
        num_classes: 1,
        class_names: ["age"],
      });
      model.kernel("decision", { ...decision, ...value, rows: values });
    });
    expect(root.querySelector(".vaw-bars")).toBeNull();
    expect(root.textContent).toContain("age -1.500 (was 43.7)");
    expect(root.textContent).not.toContain("%");
    expect(root.textContent).not.toContain("add up");
  });

  it("never takes names for HTML", async () => {
    const rows = [{ index: 0, name: "<img src=x onerror=alert(1)>", before: 1, after: null }];
    await showInShell(Decision, {
      decision: {
        target: 0,
        target_name: "<b>",
        target_before: 1,
        target_after: null,
        pruned: [],
        rows,
      },
    });
    expect(root.querySelector("img, b")).toBeNull();
    expect(root.textContent).toContain("<img");
  });
});

describe("explorer and shell", () => {
  it("holds all views", async () => {
    await showInShell(Explorer);
    for (const id of ["patch-canvas", "heads-canvas", "decision", "layer-slider", "class-picker"]) {
      expect(find(id)).not.toBeNull();
    }
  });

  it("shows progress with a way to cancel, and errors with details", async () => {
    const { model } = await showInShell(Explorer);
    const status = {
      state: "computing",
      label: "removing heads",
      progress: 0.3,
      error: null,
      milliseconds: 1,
      paused: [],
    };
    await act(() => model.kernel("status", status));
    expect(root.textContent).toContain("removing heads");
    await click(find("cancel"));
    expect(model.sent.at(-1)?.method).toBe("cancel_job");
    const paused = ["34 of 144 heads"];
    await act(() => model.kernel("status", { ...status, state: "idle", paused }));
    expect(root.textContent).toContain("cancelled: 34 of 144 heads");
    await click(find("go-on"));
    expect(model.sent.at(-1)?.method).toBe("go_on");
    const error = { message: "There is no class 99.", hint: "Give another.", details: "trace" };
    await act(() => model.kernel("status", { ...status, state: "error", error }));
    expect(root.querySelector('[role="alert"]')?.textContent).toContain("There is no class 99.");
    expect(find("patch-canvas")).not.toBeNull();
  });

  it("knows the keys that work everywhere, and leaves them alone while typing", async () => {
    const { model } = await showInShell(Explorer);
    const body = root.querySelector(".vaw-body") as HTMLElement;
    await press(body, "[");
    expect(model.values.selected_layer).toBe(0);
    await press(body, ".");
    expect(model.values.selected_head).toBe(1);
    await press(body, "?");
    expect(root.querySelector(".vaw-help")).not.toBeNull();
    await press(find("class-picker"), "]");
    expect(model.values.selected_layer).toBe(0);
  });

  it("is never blank while nothing is known", async () => {
    await showInShell(Explorer, {
      _model_info: {},
      decision: {},
      _maps: new DataView(new ArrayBuffer(0)),
    });
    expect(root.textContent).toContain("Looking at the model");
  });
});
