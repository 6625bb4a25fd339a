import { act } from "preact/test-utils";
import { describe, expect, it } from "vitest";
import { exceededBy, histogramOf, linksAbove, placeOf, scales, valueAt } from "../src/state/matrix";
import { HeadDetail } from "../src/views/attention_matrix/head_detail";
import { attention, storeOf, TOKENS } from "./fake";
import { find, root, showView } from "./show";

const show = (changes = {}) => showView(HeadDetail, changes);

describe("one head in full", () => {
  it("holds the matrix of a head, or the mean of heads", async () => {
    const { store } = await show();
    const matrix = store.attention.matrix(1, 0);
    if (!matrix) throw new Error("no matrix");
    for (const [query, key] of [
      [0, 0],
      [3, 5],
      [6, 1],
    ] as const) {
      const value = matrix.values[query * TOKENS + key] ?? 0;
      expect(value).toBeCloseTo(attention(1, 0, query, key), 2);
      const mean = (attention(1, 0, query, key) + attention(1, 1, query, key)) / 2;
      expect(store.attention.matrix(1, -1)?.values[query * TOKENS + key]).toBeCloseTo(mean, 2);
    }
    expect(scales(matrix).band).toBeCloseTo(0.25, 2);
  });

  it("reads entries, chooses queries, and moves the threshold", async () => {
    const { model } = await show();
    const canvas = find("matrix");
    canvas.getBoundingClientRect = () => ({ left: 0, top: 0, width: 70, height: 70 }) as DOMRect;
    await act(() => {
      canvas.dispatchEvent(
        new MouseEvent("pointermove", { clientX: 25, clientY: 45, bubbles: true }),
      );
    });
    expect(find("matrix-says").textContent).toContain("patch (1, 0) gives");
    expect(find("matrix-says").textContent).toContain("to patch (0, 1)");
    await act(() => {
      canvas.dispatchEvent(new MouseEvent("click", { clientX: 25, clientY: 45, bubbles: true }));
    });
    expect(model.values.selected_token).toBe(4);
    const few = Number.parseInt(find("links-say").textContent ?? "", 10);
    const slider = find("threshold") as HTMLInputElement;
    await act(() => {
      slider.value = "0";
      slider.dispatchEvent(new Event("input", { bubbles: true }));
    });
    expect(Number.parseInt(find("links-say").textContent ?? "", 10)).toBe(TOKENS * TOKENS);
    expect(few).toBeLessThan(TOKENS * TOKENS);
  });

  it("is zoomed about the pointer, and by keys", async () => {
    await show();
    const canvas = find("matrix");
    const scroller = canvas.closest(".vaw-matrix") as HTMLElement;
    const whole = Number.parseFloat(canvas.style.width);
    const wheel = { ctrlKey: true, deltaY: -40, clientX: 10, clientY: 20, cancelable: true };
    await act(() => {
      scroller.dispatchEvent(new WheelEvent("wheel", wheel));
    });
    const by = Math.exp(0.4);
    expect(Number.parseFloat(canvas.style.width)).toBeCloseTo(whole * by, 3);
    expect(scroller.scrollLeft).toBeCloseTo(10 * (by - 1), 3);
    expect(scroller.scrollTop).toBeCloseTo(20 * (by - 1), 3);
    const press = (key: string) =>
      act(() => {
        canvas.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
      });
    await press("+");
    expect(Number.parseFloat(canvas.style.width)).toBeCloseTo(whole * by * 2, 3);
    await press("0");
    expect(Number.parseFloat(canvas.style.width)).toBe(whole);
  });

  it("says why a long sequence has no matrix", async () => {
    const info = { ...(storeOf().model.values._model_info as object), num_tokens: 1025 };
    await show({ _model_info: info });
    expect(root.textContent).toContain("1025 tokens");
  });

  it("knows thresholds, links and the logarithmic axis", () => {
    const values = new Float32Array([0.9, 0.1, 0, 0, 0.5, 0.5, 0.2, 0.3, 0.5]);
    const matrix = { values, tokens: 3, prefix: 1 };
    expect(scales(matrix)).toEqual({ patches: 0.5, band: expect.closeTo(0.9, 5) });
    expect(exceededBy(matrix, 0.2)).toBeCloseTo(0.5);
    expect(linksAbove(matrix, 0.5, 2)).toEqual([
      { query: 0, key: 0, value: expect.closeTo(0.9, 5) },
      { query: 1, key: 1, value: 0.5 },
    ]);
    expect(placeOf(0)).toBe(0);
    expect(placeOf(1)).toBe(1);
    expect(valueAt(placeOf(0.03))).toBeCloseTo(0.03);
    expect(histogramOf(matrix).reduce((a, b) => a + b, 0)).toBe(9);
  });
});
