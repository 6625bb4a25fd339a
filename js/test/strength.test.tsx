import { act } from "preact/test-utils";
import { describe, expect, it } from "vitest";
import { StrengthView } from "../src/views/strength/strength_view";
import { encode, storeOf } from "./fake";
import { find, root, showView } from "./show";

const DATA = encode({
  profile: { shape: [2, 2, 3], data: new Float32Array([1, 0, 0, 1, 1, 2, 1, 1, 1, 3, 1, 0]) },
  entropy: { shape: [2, 2], data: new Float32Array([0, 1.04, 1.1, 0.56]) },
  distance: { shape: [2, 2], data: new Float32Array([0, 7, 9, 3]) },
  class_to_class: { shape: [2, 2], data: new Float32Array([0.9, 0.1, 0.2, 0.05]) },
  class_to_patches: { shape: [2, 2], data: new Float32Array([0.1, 0.9, 0.8, 0.95]) },
  patches_to_class: { shape: [2, 2], data: new Float32Array([0.3, 0.3, 0.3, 0.3]) },
});

const show = (changes = {}) => showView(StrengthView, changes);

describe("head strength", () => {
  it("asks the kernel, and shows every head in both plots", async () => {
    const { model } = await show();
    expect(root.textContent).toContain("Measuring");
    expect(model.sent.map((m) => m.method)).toContain("strength");
    await act(() => model.kernel("_strength_data", DATA));
    expect(find("entropy-by-layer").querySelectorAll("circle")).toHaveLength(4);
    expect(find("distance-by-layer").querySelectorAll("circle")).toHaveLength(4);
    expect(find("strength-says").textContent).toContain("layer 1, head 0: entropy 1.100");
    expect(root.textContent).toContain("class token: 20 % to itself, 80 % to the patches");
  });

  it("selects a head by its dot, and by keys", async () => {
    const { model } = await show({ _strength_data: DATA });
    const dots = find("entropy-by-layer").querySelectorAll("circle");
    await act(() => {
      dots[1]?.dispatchEvent(new MouseEvent("click", { bubbles: true }));
    });
    expect([model.values.selected_layer, model.values.selected_head]).toEqual([0, 1]);
    const shares = [...find("hop-profile").querySelectorAll("rect title")].map(
      (title) => title.textContent,
    );
    expect(shares).toEqual(["0.250", "0.250", "0.500"]);
    const plot = root.querySelector(".vaw-chart") as HTMLElement;
    await act(() => {
      plot.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowRight", bubbles: true }));
    });
    expect(plot.getAttribute("aria-valuetext")).toContain("layer 1, head 0");
  });

  it("compares with the other images when asked", async () => {
    const info = { ...(storeOf().model.values._model_info as object), set_size: 3 };
    const { model } = await show({ _strength_data: DATA, _model_info: info });
    await act(() => {
      find("strength-set").dispatchEvent(new MouseEvent("click", { bubbles: true }));
    });
    expect(model.sent.at(-1)?.method).toBe("strength_set");
    const entropy = new Float32Array(12).map((_, i) => (i % 4) / 4);
    await act(() =>
      model.kernel("_strength_set", encode({ entropy: { shape: [3, 2, 2], data: entropy } })),
    );
    expect(find("entropy-distribution").textContent).toContain("over 3 images");
  });
});
