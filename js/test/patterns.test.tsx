import { render } from "preact";
import { act } from "preact/test-utils";
import { afterEach, describe, expect, it, vi } from "vitest";
import { headsInOrder } from "../src/state/heads";
import {
  alike,
  clusterPlaces,
  inside,
  nearestPoint,
  type PatternMap,
  pointsOf,
} from "../src/state/patterns";
import { projection, WHOLE } from "../src/ui/use_zoom";
import { PatternMapView } from "../src/views/patterns/pattern_map";
import { density } from "../src/views/patterns/pattern_paint";
import { paintScatter } from "../src/views/patterns/pattern_scatter_paint";
import { layersOf } from "../src/views/patterns/pattern_side";
import { encode, type FakeModel, settle } from "./fake";
import { find, root, showView } from "./show";

const CLUSTERS = [
  {
    name: "self",
    size: 5,
    scores: { self: 0.9, row: 0.2 },
    layers: [
      [0, 4],
      [1, 1],
    ],
  },
  { name: "row", size: 3, scores: { self: 0.1, row: 0.8 }, layers: [[1, 3]] },
];
const ABOUT = {
  points: 8,
  images: 2,
  error: 0.8,
  pca_error: 1,
  stability: 0.91,
  clusters: CLUSTERS,
};
const INFO = { version: 1, families: { patches: ABOUT, class: { ...ABOUT, stability: null } } };
const POINTS = [
  -0.5, -0.5, -0.4, -0.5, 0.5, 0.5, 0.6, 0.5, -0.5, -0.4, -0.4, -0.4, -0.45, -0.45, 0.5, 0.6,
];
const LABELS = [0, 0, 1, 1, 0, 0, 0, 1];
const DISTANCES = [0, 1, 3, 2, 1, 0, 5, 6, 3, 5, 0, 1, 2, 6, 1, 0];
const hereAt = (moved: number) =>
  encode({
    patches_points: {
      shape: [4, 2],
      data: Float32Array.from(POINTS.slice(0, 8), (value) => value + moved),
    },
    patches_labels: { shape: [4], data: new Uint8Array([0, 0, 1, 1]) },
  });
const HERE = hereAt(0);
const pictures = (count: number) => ({
  shape: [count, 2, 2],
  data: new Uint8Array(4 * count).fill(100),
});
const MAP = encode({
  points: { shape: [8, 2], data: new Float32Array(POINTS) },
  labels: { shape: [8], data: new Uint8Array(LABELS) },
  distances: { shape: [4, 4], data: new Float32Array(DISTANCES) },
  pictures: pictures(2),
});

const show = (changes = {}) => showView(PatternMapView, changes);

/** The kernel answers what was asked under a name. */
async function reply(model: FakeModel, method: string, view: DataView) {
  const asked = model.sent.filter((message) => message.method === method).at(-1);
  await act(async () => {
    model.emit("msg:custom", { id: asked?.id, ok: true, meta: {} }, [view]);
    await settle();
  });
}

describe("a map of patterns", () => {
  const map = {
    points: new Float32Array(POINTS),
    labels: new Uint8Array(LABELS),
  } as PatternMap;

  it("finds points by place and by lasso", () => {
    expect(nearestPoint(map.points, 0.52, 0.5, 0.1)).toBe(2);
    expect(nearestPoint(map.points, 0, 0, 0.1)).toBe(-1);
    expect(inside(map.points, [0, 0, 1, 0, 1, 1, 0, 1])).toEqual([2, 3, 7]);
    expect(inside(map.points, [0, 0, 1, 1])).toEqual([]);
  });

  it("knows heads, those alike, and where a cluster is densest", () => {
    expect(headsInOrder([1, 2])).toEqual([
      [0, 0],
      [1, 0],
      [1, 1],
    ]);
    expect(alike(new Float32Array(DISTANCES), 4, 0, 2).map(({ other }) => other)).toEqual([1, 3]);
    const [first, second] = clusterPlaces(map, 2);
    expect(first?.[0]).toBeCloseTo(-0.45, 1);
    expect(second?.[1]).toBeGreaterThan(0.4);
    expect(pointsOf(map, 1)).toHaveLength(6);
  });

  it("counts every point that is in the window, and zooms about it", () => {
    const sum = (counts: Float32Array) => counts.reduce((a, b) => a + b, 0);
    expect(sum(density(map.points, WHOLE, 100, 100))).toBeCloseTo(8 * 4);
    const close = { x: 0.5, y: 0.5, zoom: 8 };
    expect(sum(density(map.points, close, 100, 100))).toBeLessThan(4 * 4);
    const to = projection(close, 100, 60);
    expect([to.x(0.5), to.y(0.5)]).toEqual([50, 30]);
    expect(to.mapX(to.x(0.3))).toBeCloseTo(0.3);
    expect(to.mapY(to.y(-0.2))).toBeCloseTo(-0.2);
  });

  it("writes the whole name of a cluster at the side, and leaves one that is out of sight there", () => {
    const written: [string, number][] = [];
    const context = new Proxy({ canvas: document.createElement("canvas") } as never, {
      get: (target, name) => {
        if (name === "measureText") return () => ({ width: 60 });
        if (name === "fillText") return (text: string, x: number) => written.push([text, x]);
        return name in target ? target[name] : () => undefined;
      },
      set: () => true,
    });
    paintScatter(context, 106, 106, {
      view: WHOLE,
      points: new Float32Array(),
      background: { key: "", counts: new Float32Array() },
      litPoints: new Float32Array(),
      heads: [],
      layers: 1,
      herePoints: null,
      shown: -1,
      pruned: { has: () => false },
      brushed: { has: () => false },
      places: [
        [-1, 0.9],
        [0, 0],
        [1, -0.9],
        [2, 0.5],
      ],
      names: ["left", "middle", "right", "outside"],
      cluster: -1,
      lasso: [],
    });
    expect(written).toEqual([
      ["left", 34],
      ["middle", 53],
      ["right", 72],
      ["outside", 153],
    ]);
  });

  it("says where the heads of a cluster lie", () => {
    expect(layersOf(CLUSTERS[0] as never)).toBe("layers 0 to 1");
    expect(layersOf(CLUSTERS[1] as never)).toBe("layer 1");
  });
});

describe("the view", () => {
  afterEach(() => {
    render(null, root);
    root.remove();
  });

  it("offers to learn, and says what went wrong", async () => {
    const { model } = await show();
    expect(root.textContent).toContain("A set of images (image_set=) makes a better one");
    await act(async () => {
      find("learn-patterns").click();
      await settle();
    });
    const asked = model.sent.find((message) => message.method === "learn_patterns");
    await act(async () => {
      model.emit("msg:custom", { id: asked?.id, error: { message: "install it", hint: "" } }, []);
      await settle();
    });
    expect(root.querySelector("[role=alert]")?.textContent).toBe("install it");
  });

  it("asks for the map, places the heads, and reads the one that is looked at", async () => {
    const { model, store } = await show({ _patterns_info: INFO, _patterns_here: HERE });
    expect(model.sent.map((message) => message.method)).toEqual(
      expect.arrayContaining(["place_heads", "pattern_map", "pattern_thumbnails"]),
    );
    await reply(model, "pattern_map", MAP);
    await reply(model, "pattern_thumbnails", encode({ pictures: pictures(4) }));
    expect(find("pattern-says").textContent).toBe("layer 1, head 0 here: row");
    expect(find("pattern-thumbnail")).toBeTruthy();
    expect(find("clusters").querySelectorAll("li")).toHaveLength(2);
    expect(find("pattern-quality").textContent).toBe(
      "2 images; reconstruction error 20 % below PCA; cluster stability (ARI) 0.91",
    );
    const chips = [...find("alike").querySelectorAll("button")];
    expect(chips.map((chip) => chip.textContent)).toEqual(["1.1", "0.0", "0.1"]);
    await act(() => chips[1]?.click());
    expect([model.values.selected_layer, model.values.selected_head]).toEqual([0, 0]);
    await act(() => {
      store.hoveredHead.value = [0, 1];
    });
    expect(find("pattern-says").textContent).toBe("layer 0, head 1 here: self");
  });

  it("shows no picture of what was looked at before", async () => {
    const { model } = await show({ _patterns_info: INFO, _patterns_here: HERE });
    await reply(model, "pattern_map", MAP);
    await reply(model, "pattern_thumbnails", encode({ pictures: pictures(4) }));
    expect(find("pattern-thumbnail")).toBeTruthy();
    await act(async () => {
      model.kernel("_patterns_here", hereAt(0.1));
      await settle();
    });
    expect(find("pattern-thumbnail")).toBeNull();
    await reply(model, "pattern_thumbnails", encode({ pictures: pictures(4) }));
    expect(find("pattern-thumbnail")).toBeTruthy();
  });

  it("keeps a place for the picture, also of a point that has not come yet", async () => {
    const { model, store } = await show({ _patterns_info: INFO, _patterns_here: hereAt(0.3) });
    await reply(model, "pattern_map", MAP);
    await reply(model, "pattern_thumbnails", encode({ pictures: pictures(4) }));
    const place = () => root.querySelector(".vaw-no-picture");
    expect(place()).toBeNull();
    await act(() => store.set({ selected_head: -1 }));
    expect(find("pattern-thumbnail")).toBeNull();
    expect(place()?.className).toContain("vaw-of-patches");
    const scatter = root.querySelector(".vaw-scatter") as HTMLElement;
    scatter.getBoundingClientRect = () => ({ left: 0, top: 0, width: 320, height: 256 }) as DOMRect;
    const over = async (point: number) => {
      const at = projection(WHOLE, 320, 256);
      const [x, y] = [POINTS[2 * point] ?? 0, POINTS[2 * point + 1] ?? 0];
      const where = { clientX: at.x(x), clientY: at.y(y), bubbles: true };
      await act(() => void scatter.dispatchEvent(new MouseEvent("pointermove", where)));
      await act(() => void vi.advanceTimersByTime(100)); // it rests
    };
    vi.useFakeTimers();
    await over(7);
    expect(find("pattern-says").textContent).toContain("on image 1");
    expect(find("pattern-thumbnail")).toBeNull();
    await reply(model, "pattern_at", encode({ pictures: pictures(1) }));
    expect(find("pattern-thumbnail")).toBeTruthy();
    await over(6);
    expect(find("pattern-thumbnail")).toBeNull(); // that of the point before is no picture of this
    vi.useRealTimers();
  });

  it("changes the family, and asks for its map", async () => {
    const { model } = await show({ _patterns_info: INFO, _patterns_here: HERE });
    await act(async () => {
      root.querySelectorAll<HTMLElement>("[data-testid=pattern-family] button")[1]?.click();
      await settle();
    });
    const asked = model.sent.filter((message) => message.method === "pattern_map").at(-1);
    expect(asked?.params).toEqual({ family: "class" });
  });

  it("shows one family of a model without a class token", async () => {
    await show({ _patterns_info: { version: 1, families: { patches: ABOUT } } });
    expect(find("pattern-family")).toBeNull();
    expect(root.textContent).toContain("on its way");
  });

  it("walks over the heads by keys", async () => {
    const { model, store } = await show({ _patterns_info: INFO, _patterns_here: HERE });
    await reply(model, "pattern_map", MAP);
    const scatter = root.querySelector(".vaw-scatter") as HTMLElement;
    await act(() => {
      scatter.dispatchEvent(new KeyboardEvent("keydown", { key: "Home", bubbles: true }));
    });
    expect(store.hoveredHead.value).toEqual([0, 0]);
    expect(scatter.getAttribute("aria-valuenow")).toBe("0");
    const all = find("patterns-all");
    for (const [key, whole] of [
      ["+", "false"],
      ["0", "true"],
    ] as const) {
      await act(() => {
        scatter.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
      });
      expect(all.getAttribute("aria-disabled")).toBe(whole);
    }
  });
});
