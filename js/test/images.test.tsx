import { act } from "preact/test-utils";
import { afterEach, describe, expect, it, vi } from "vitest";
import type { ModelInfo, Overview } from "../src/protocol/schema";
import { classesOf, colorsOf, cost, groupsOf, says, verdict } from "../src/state/overview";
import { standing } from "../src/views/images/image_map";
import { ImageOverview } from "../src/views/images/image_overview";
import {
  apart,
  fitted,
  inOrder,
  nearest,
  type Place,
  walk,
} from "../src/views/images/image_places";
import { encode, STATE } from "./fake";
import { drawn } from "./setup";
import { find, root, showView } from "./show";

const INFO = { ...(STATE._model_info as ModelInfo), set_size: 5 };
const SHOWN: Overview = {
  total: 5,
  names: ["", "b.png", "", "", ""],
  labels: [0, 0, 1, 1, 2],
  predicted: [],
  probability: [],
  points: [],
  layout: "in order",
  metric: "",
  measuring: "",
  done: 0,
};
const LAID_OUT: Overview = {
  ...SHOWN,
  predicted: [0, 0, 1, 2, 2],
  probability: [0.9, 0.8, 0.7, 0.6, 0.5],
  points: [
    [-1, 1],
    [1, 1],
    [-1, -1],
    [1, -1],
    [0, 0],
  ],
  layout: "t-SNE",
  metric: "taylor",
  done: 5,
};
const THUMBNAILS = encode({
  thumbnails: { shape: [5, 2, 3, 3], data: new Uint8Array(90).fill(9) },
});

const show = (changes: Record<string, unknown> = {}) =>
  showView(ImageOverview, { _model_info: INFO, ...changes });
const at = (image: number): { clientX: number; clientY: number } => {
  const [x, y] = standing(LAID_OUT.points, 5, 480, 240, false).places[image] as Place;
  return { clientX: x, clientY: y };
};
const point = (type: string, image: number) =>
  act(() => {
    find("image-map").dispatchEvent(new MouseEvent(type, { bubbles: true, ...at(image) }));
  });
const press = (key: string) =>
  act(() => {
    find("image-map").dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
  });

afterEach(() => {
  vi.unstubAllGlobals();
});

describe("places of images", () => {
  const box = { width: 300, height: 200 };

  it("stand in order, as large as fits", () => {
    for (const total of [1, 2, 7, 30, 401]) {
      const { places, cell } = inOrder(total, box);
      expect(places).toHaveLength(total);
      for (const [x, y] of places) {
        expect(x).toBeGreaterThanOrEqual(cell / 2 - 1e-6);
        expect(x).toBeLessThanOrEqual(300 - cell / 2 + 1e-6);
        expect(y).toBeLessThanOrEqual(200 - cell / 2 + 1e-6);
      }
      expect(cell * cell * total).toBeGreaterThan(0.4 * 300 * 200 * Math.min(1, total / 4));
    }
  });

  it("fill the canvas, upwards is up, and one place is its middle", () => {
    const corners: Place[] = [
      [-1, 0.5],
      [1, -0.5],
    ];
    const [first, last] = fitted(corners, box, 10);
    expect(first?.map(Math.round)).toEqual([10, 10]);
    expect(last?.map(Math.round)).toEqual([290, 190]);
    expect(fitted([[0.3, 0.3]], box, 10)).toEqual([[150, 100]]);
    const line: Place[] = [
      [-1, 0],
      [1, 0],
    ];
    expect(fitted(line, box, 10)).toEqual([
      [10, 100],
      [290, 100],
    ]);
  });

  it("move apart until they hardly overlap, and no farther", () => {
    const crowd = Array.from({ length: 20 }, (_, i): Place => [150 + (i % 5), 100 + i / 5]);
    const moved = apart(crowd, 20, box);
    moved.forEach(([x, y], i) => {
      expect(x).toBeGreaterThanOrEqual(10);
      expect(y).toBeLessThanOrEqual(190);
      for (const [px, py] of moved.slice(i + 1))
        expect(Math.max(Math.abs(px - x), Math.abs(py - y))).toBeGreaterThan(12);
    });
    const far: Place[] = [
      [50, 50],
      [90, 90],
    ];
    expect(apart(far, 20, box)).toEqual(far);
  });

  it("are found by the pointer, within reach", () => {
    const places: Place[] = [
      [10, 10],
      [20, 10],
    ];
    expect(nearest(places, 14, 10, 20)).toBe(0);
    expect(nearest(places, 16, 12, 20)).toBe(1);
    expect(nearest(places, 60, 10, 20)).toBeNull();
    expect(nearest([], 0, 0, 20)).toBeNull();
  });

  it("are walked by arrows, each to what lies ahead", () => {
    const { places } = inOrder(6, { width: 300, height: 200 }); // three columns
    expect(walk(places, 0, "ArrowRight")).toBe(1);
    expect(walk(places, 1, "ArrowDown")).toBe(4);
    expect(walk(places, 5, "ArrowLeft")).toBe(4);
    expect(walk(places, 3, "ArrowUp")).toBe(0);
    expect(walk(places, 2, "ArrowRight")).toBe(2); // the end
    expect(walk(places, 2, "Home")).toBe(0);
    expect(walk(places, 2, "End")).toBe(5);
    expect(walk(places, 2, "x")).toBeNull();
  });
});

describe("classes of images", () => {
  it("are labels, or else predictions", () => {
    expect(classesOf(LAID_OUT)).toEqual([0, 0, 1, 1, 2]);
    expect(classesOf({ ...LAID_OUT, labels: null })).toEqual([0, 0, 1, 2, 2]);
    expect(classesOf({ ...SHOWN, labels: null })).toEqual([-1, -1, -1, -1, -1]);
  });

  it("have a color each while there are few", () => {
    const classes = [7, 3, 7, -1];
    const groups = groupsOf(classes);
    expect(groups).toEqual([
      { index: 3, count: 1 },
      { index: 7, count: 2 },
    ]);
    expect(colorsOf(classes, groups)).toEqual([1, 0, 1, -1]);
  });

  it("share the colors among those of most images where there are many", () => {
    const classes = Array.from({ length: 30 }, (_, i) => i % 14); // 0 and 1 three times
    const groups = groupsOf([...classes, 20]);
    expect(groups).toHaveLength(10);
    expect(groups.map(({ index }) => index)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    expect(colorsOf([13, 20, 0], groups)).toEqual([-1, -1, 0]);
    expect(groupsOf(Array.from({ length: 36 }, (_, i) => i))).toEqual([]);
  });

  it("are told in words", () => {
    expect(verdict(INFO, LAID_OUT, 0)).toBe("heart, 90 %, as labeled");
    expect(verdict(INFO, LAID_OUT, 3)).toBe("star, but the model says starfish, 60 %");
    expect(verdict(INFO, { ...LAID_OUT, labels: null }, 3)).toBe("the model says starfish, 60 %");
    expect(verdict(INFO, SHOWN, 2)).toBe("star");
    const values = { ...INFO, output: "value" as const, class_names: null, num_classes: 1 };
    const measured = { ...LAID_OUT, labels: null, predicted: [0], probability: [41.37] };
    expect(verdict(values, measured, 0)).toBe("the model says value 41.4");
    expect(verdict(INFO, { ...SHOWN, labels: null }, 2)).toBe("");
    expect(cost(INFO, 100, "probability")).toContain("each of 4 heads for each of 100 images: 400");
    expect(cost(INFO, 1, "taylor")).toContain("for each of one image");
    expect(says({ ...SHOWN, measuring: "taylor", done: 2 })).toBe("Measured: 2 of 5 images.");
    expect(says({ ...LAID_OUT, layout: "in order" })).toContain("no head tells");
  });
});

describe("image overview", () => {
  it("says what to do without a set, and asks for nothing", async () => {
    const { model } = await show({ _model_info: { ...INFO, set_size: 0 } });
    expect(root.textContent).toContain("image_set=[...]");
    expect(model.sent.filter(({ method }) => method === "images")).toEqual([]);
    expect(root.querySelector("input")).toBeNull();
  });

  it("asks for the images, shows them in order, and lays them out when told", async () => {
    const { model } = await show();
    expect(model.sent.map(({ method }) => method)).toContain("images");
    await act(() => model.kernel("_overview", SHOWN));
    expect(find("images-say").textContent).toContain("in order");
    expect(find("image-legend").textContent).toBe("heart 2star 2starfish 1");
    const estimate = find("image-metric").querySelectorAll("button")[1] as HTMLElement;
    await act(() => estimate.click());
    expect(find("lay-out-cost").textContent).toContain("once back for each of 5 images");
    await act(() => find("lay-out").click());
    expect(model.sent.at(-1)).toMatchObject({ method: "overview", params: { metric: "taylor" } });
    await act(() => model.kernel("_overview", { ...SHOWN, measuring: "taylor", done: 2 }));
    expect((find("lay-out") as HTMLButtonElement).disabled).toBe(true);
    await act(() => model.kernel("_overview", LAID_OUT));
    expect((find("lay-out") as HTMLButtonElement).disabled).toBe(false);
    expect(find("images-say").textContent).toContain("t-SNE");
    expect(root.textContent).toContain("the model is wrong: 1");
  });

  it("tells what the pointer is over, and opens it by a click", async () => {
    const { model } = await show({ _overview: LAID_OUT });
    expect(find("image-says").textContent).toContain("Move over an image");
    await point("pointermove", 3);
    expect(find("image-says").textContent).toContain("image 3");
    expect(find("image-says").textContent).toContain("but the model says starfish");
    await point("pointermove", 1);
    expect(find("image-says").textContent).toContain("image 1, b.png");
    await point("click", 1);
    expect(model.values.selected_image).toBe(1);
    expect(model.saved.at(-1)).toEqual(["selected_image"]);
    await act(() => {
      find("image-map").dispatchEvent(new MouseEvent("pointerleave"));
    });
    expect(find("image-says").textContent).toContain("(open)");
    expect((find("image-number") as HTMLInputElement).value).toBe("1");
  });

  it("walks by arrows and opens by Enter", async () => {
    const { model } = await show({ _overview: LAID_OUT, selected_image: 0 });
    await press("ArrowRight");
    expect(find("image-map").getAttribute("aria-valuetext")).toContain("image 1, b.png");
    await press("ArrowDown");
    expect(find("image-map").getAttribute("aria-valuenow")).toBe("3");
    expect(model.values.selected_image).toBe(0);
    await press("Enter");
    expect(model.values.selected_image).toBe(3);
    await press("ArrowLeft");
    await press("Escape");
    expect(find("image-says").textContent).toContain("image 3");
  });

  it("opens by number, refuses what does not exist, and goes back", async () => {
    const { model } = await show({ _overview: LAID_OUT });
    const field = find("image-number") as HTMLInputElement;
    const type = (text: string) =>
      act(() => {
        field.value = text;
        field.dispatchEvent(new Event("change", { bubbles: true }));
      });
    await type("4");
    expect(model.values.selected_image).toBe(4);
    await type("5");
    expect(model.values.selected_image).toBe(4);
    expect(field.value).toBe("4");
    await act(() => find("given-image").click());
    expect(model.values.selected_image).toBe(-1);
    expect(find("given-image")).toBeNull();
  });

  it("draws thumbnails where there are some, and dots otherwise", async () => {
    drawn.length = 0;
    const { model } = await show({ _overview: LAID_OUT });
    expect(drawn.filter((call) => call.startsWith("arc"))).not.toEqual([]);
    drawn.length = 0;
    await act(() => model.kernel("_thumbnails", THUMBNAILS));
    expect(drawn.filter((call) => call.startsWith("putImageData"))).toHaveLength(5);
    expect(drawn.filter((call) => call === "drawImage 9").length).toBeGreaterThanOrEqual(5);
    expect(drawn.filter((call) => call.startsWith("arc"))).toEqual([]);
  });

  it("shows one class alone, and a larger picture where the pointer rests", async () => {
    vi.useFakeTimers();
    const { model } = await show({ _overview: LAID_OUT });
    const chip = find("image-legend").querySelectorAll("button")[1] as HTMLElement;
    await act(() => chip.click());
    expect(chip.getAttribute("aria-pressed")).toBe("true");
    await point("pointermove", 2);
    await point("pointermove", 3);
    await act(() => {
      vi.advanceTimersByTime(200);
    });
    const asked = model.sent.filter(({ method }) => method === "image");
    expect(asked.map(({ params }) => params)).toEqual([{ index: 3 }]);
    vi.useRealTimers();
  });
});
