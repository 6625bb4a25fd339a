import { act } from "preact/test-utils";
import { afterEach, describe, expect, it, vi } from "vitest";
import { decode } from "../src/protocol/safetensors";
import type { StoredInfo, StoredPoints, StoredPointsMetadata } from "../src/protocol/schema";
import { cloudOf, duration, howFar, meanImportance, nearestIn } from "../src/state/stored";
import { projection, WHOLE } from "../src/ui/use_zoom";
import { HeadGrid } from "../src/views/heads/head_grid";
import { ImageOverview } from "../src/views/images/image_overview";
import { paintCloud, pointOf } from "../src/views/images/stored_paint";
import { encode, FakeModel, STATE, settle, storeOf } from "./fake";
import { REPLIES, TRAITS } from "./fixtures/session";
import { find, root, showView } from "./show";

const STORED = TRAITS._stored as StoredInfo;
const SHOWN = {
  _model_info: TRAITS._model_info,
  _stored: STORED,
  _stored_heads: TRAITS._stored_heads,
  _stored_points: TRAITS._stored_points,
};
const points = () => decode<StoredPoints, StoredPointsMetadata>(TRAITS._stored_points as never);

afterEach(() => {
  vi.useRealTimers();
});

describe("how far a folder is", () => {
  const at = (changes: Partial<StoredInfo>, now: number | null = 1000) =>
    howFar({ ...STORED, count: 12_288, total: 50_000, rate: 0, last: 1000, ...changes }, now);

  it("is said with its rate and the time left", () => {
    expect(at({ rate: 84 })).toBe("12,288 of 50,000 images, 84 images a second, 7 minutes left");
    expect(at({ rate: 84, total: null })).toBe("12,288 images so far, 84 images a second");
    expect(at({ count: 50_000 })).toBe("50,000 images");
    expect(at({ count: 0 })).toContain("No images yet");
  });

  it("is said where nothing comes any more, and in a saved page", () => {
    expect(at({ last: 400 })).toBe("12,288 of 50,000 images; the last ones came 10 minutes ago");
    expect(at({ last: 400 }, null)).toBe("12,288 of 50,000 images");
    expect(duration(7200)).toBe("2 hours");
  });
});

describe("points of a folder", () => {
  it("lie where the kernel laid them, and are found by the pointer", () => {
    const cloud = cloudOf(points(), 1);
    expect(cloud?.images).toHaveLength(300);
    if (!cloud) return;
    const [x, y] = [cloud.places[14] as number, cloud.places[15] as number];
    expect(nearestIn(cloud, x, y, 0.01)).toBe(7);
    expect(nearestIn(cloud, 1000, 1000, 0.01)).toBe(-1);
    expect(pointOf(cloud, 7)).toBe(7);
    const sorted = [...cloud.places].map(Math.abs).sort((a, b) => b - a);
    expect(sorted[0]).toBeLessThan(1.6); // all of few images are in sight
    const { metadata } = points();
    const box = cloud.box(-1, 1, -1, 1);
    expect((box.top + box.bottom) / 2).toBeCloseTo(
      (Number(metadata.home_top) + Number(metadata.home_bottom)) / 2,
    );
  });

  it("are painted as pixels where there are many: in sight and only the chosen class in full", () => {
    const canvas = document.createElement("canvas");
    Object.assign(canvas, { width: 40, height: 40 });
    const put = vi.fn();
    const context = { canvas, putImageData: put, beginPath() {}, arc() {}, stroke() {} };
    const count = 2000;
    const cloud = {
      places: Float32Array.from({ length: 2 * count }, (_, i) => (i < 4 ? 5 : 0)),
      classes: Uint16Array.from({ length: count }, (_, i) => (i % 2 ? 1 : 3)),
      images: Uint32Array.from({ length: count }, (_, i) => i),
      total: count,
      share: 1,
      box: () => ({ left: 0, right: 0, bottom: 0, top: 0 }),
    };
    const scene = {
      cloud,
      view: { x: 0, y: 0, zoom: 1 },
      slots: new Uint8Array(count),
      open: -1,
      lit: -1,
      pictures: new Map(),
    };
    paintCloud(context as never, 40, 40, { ...scene, only: -1 });
    const opaque = () => {
      const data = put.mock.calls.at(-1)?.[0].data as Uint8ClampedArray;
      return Array.from({ length: 1600 }, (_, i) => data[4 * i + 3] as number);
    };
    expect(opaque().filter(Boolean)).toHaveLength(4); // one dot, two pixels a side
    expect(Math.max(...opaque())).toBe(255);
    paintCloud(context as never, 40, 40, { ...scene, only: 9 });
    expect(Math.max(...opaque())).toBeLessThan(40);
  });
});

describe("the view of a folder", () => {
  it("looks as long as it is there, and says how far it is", async () => {
    vi.useFakeTimers();
    const { model } = await showView(ImageOverview, {
      ...SHOWN,
      _stored: { ...STORED, count: 256, total: 300 },
    });
    const looks = () => model.sent.filter(({ method }) => method === "stored_look").length;
    expect(looks()).toBe(1);
    await act(async () => void (await vi.advanceTimersByTimeAsync(4100)));
    expect(looks()).toBe(3);
    expect(find("stored-far").textContent).toContain("256 of 300 images");
    expect(find("stored-far").closest("[aria-live]")).toBeNull(); // it changes all the time
    expect(find("stored-head-says").textContent).toContain("over 300 images");
  });

  it("asks once while the kernel is busy", async () => {
    vi.useFakeTimers();
    const { model } = await showView(ImageOverview, {
      ...SHOWN,
      _stored: { ...STORED, count: 256, total: 300 },
    });
    model.answers = false;
    await act(async () => void (await vi.advanceTimersByTimeAsync(30_000)));
    const looks = model.sent.filter(({ method }) => method === "stored_look");
    expect(looks.length).toBe(2); // one was answered
  });

  it("asks again where an answer was lost", async () => {
    vi.useFakeTimers();
    const { model } = await showView(ImageOverview, {
      ...SHOWN,
      _stored: { ...STORED, count: 256, total: 300 },
    });
    const looks = () => model.sent.filter(({ method }) => method === "stored_look").length;
    model.answers = false;
    await act(async () => void (await vi.advanceTimersByTimeAsync(4000)));
    expect(looks()).toBe(2); // one was answered
    model.answers = true;
    await act(async () => void (await vi.advanceTimersByTimeAsync(70_000)));
    expect(looks()).toBeGreaterThan(3);
  });

  it("asks for another quantity, and for a class by itself", async () => {
    const { model } = await showView(ImageOverview, SHOWN);
    const choose = (testid: string, value: string) =>
      act(() => {
        const select = find(testid) as HTMLSelectElement;
        select.value = value;
        select.dispatchEvent(new Event("change", { bubbles: true }));
      });
    await choose("stored-quantity", "jsd");
    await choose("stored-class", "4");
    const asked = model.sent.filter(({ method }) => method === "stored_show");
    expect(asked.map(({ params }) => params)).toEqual([
      { quantity: "jsd", of_class: 3 },
      { quantity: "taylor", of_class: 4 },
    ]);
  });

  it("asks for more points where a choice of very many is enlarged", async () => {
    vi.useFakeTimers();
    const { tensors, metadata } = points();
    const first = 100;
    const some = encode(
      {
        places: { shape: [first, 2], data: tensors.places.data.slice(0, 2 * first) },
        classes: { shape: [first], data: tensors.classes.data.slice(0, first) },
        images: { shape: [first], data: Uint32Array.from({ length: first }, (_, i) => i) },
      },
      { ...metadata, total: "300" },
    );
    const { model } = await showView(ImageOverview, { ...SHOWN, _stored_points: some });
    const asked = () => model.sent.filter(({ method }) => method === "stored_points");
    await act(() => void vi.advanceTimersByTime(200));
    expect(asked()).toHaveLength(0);
    await act(() => {
      find("stored-larger").click();
    });
    await act(async () => {
      vi.advanceTimersByTime(200);
      await settle();
    });
    const [request] = asked();
    const box = request?.params as { left: number; right: number };
    const wide = Number(metadata.home_right) - Number(metadata.home_left);
    expect(box.right - box.left).toBeGreaterThan(wide / 2);
    expect(box.right - box.left).toBeLessThan(wide * 2);
    await act(async () => {
      model.emit("msg:custom", { id: request?.id, ok: true, meta: {} }, [REPLIES.stored_points]);
      await settle();
      vi.advanceTimersByTime(200);
    });
    expect(asked()).toHaveLength(1); // what is in sight is there now
  });

  it("says how many more classes there are than are listed", async () => {
    await showView(ImageOverview, { ...SHOWN, _stored: { ...STORED, classes_in_all: 21_841 } });
    const named = find("stored-legend").querySelectorAll(".vaw-class-name").length;
    const more = (21_841 - named).toLocaleString("en");
    expect(find("stored-legend").textContent).toContain(`${more} more classes`);
    expect(find("stored-map").getAttribute("aria-label")).toBe("300 images of 21,841 classes");
  });

  it("says what is wrong with it", async () => {
    await showView(ImageOverview, { ...SHOWN, _stored: { ...STORED, problem: "It is gone." } });
    expect(root.querySelector('[role="alert"]')?.textContent).toBe("It is gone.");
  });

  it("reads of the image under the pointer", async () => {
    vi.useFakeTimers();
    const { model } = await showView(ImageOverview, SHOWN);
    const cloud = cloudOf(points(), 1 / 0.72);
    const to = projection(WHOLE, 320, 320 * 0.72);
    const [x = 0, y = 0] = [...(cloud?.places.subarray(14, 16) ?? [])];
    await act(() => {
      const where = { clientX: to.x(x), clientY: to.y(y), bubbles: true };
      find("stored-map").dispatchEvent(new MouseEvent("pointermove", where));
    });
    await act(async () => {
      vi.advanceTimersByTime(100);
      await settle();
      const asked = model.sent.find(({ method }) => method === "stored_image");
      expect(asked?.params).toEqual({ index: 7 });
      model.emit("msg:custom", { id: asked?.id, ok: true, meta: {} }, [REPLIES.stored_image]);
      await settle();
    });
    expect(find("stored-says").textContent).toMatch(/^image 7.*0\.500gradient is largest of layer/);
  });
});

describe("the map of a folder by keys", () => {
  const press = (key: string) =>
    act(() => {
      find("stored-map").dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
    });

  it("says how many images there are, what is in view, and the one that Enter opens", async () => {
    const { store } = await showView(ImageOverview, {
      ...SHOWN,
      _stored: { ...STORED, has_files: true },
    });
    const map = find("stored-map");
    expect(map.getAttribute("aria-label")).toBe("300 images of 5 classes");
    const how = map.getAttribute("aria-describedby") as string;
    expect(document.getElementById(how)?.textContent).toBe(
      "drag or arrows move the map; Enter opens what is in the middle",
    );
    expect(find("stored-aloud").textContent).toBe("");
    await press("+");
    const inView = () => Number(find("stored-aloud").textContent?.match(/^\d+/)?.[0]);
    expect(inView()).toBeLessThan(300);
    const before = inView();
    await press("ArrowRight");
    const image = Number(find("stored-aloud").textContent?.match(/middle image (\d+), /)?.[1]);
    await press("Enter");
    expect(store.traits.selected_image.value).toBe(image);
    await press("+");
    expect(inView()).toBeLessThan(before);
    await press("0");
    expect(inView()).toBe(300);
  });

  it("keeps the focus on a button that has done all it can", async () => {
    await showView(ImageOverview, SHOWN);
    await act(() => find("stored-larger").click());
    const all = find("stored-all");
    expect(all.getAttribute("aria-disabled")).toBe("false");
    all.focus();
    await act(() => all.click());
    expect(all.getAttribute("aria-disabled")).toBe("true");
    expect(document.activeElement).toBe(all);
    expect(find("stored-aloud").textContent).toBe("300 images in view");
    expect(find("stored-says").textContent).not.toContain("image ");
    await act(() => {
      all.dispatchEvent(new KeyboardEvent("keydown", { key: "+", bubbles: true }));
    });
    expect(all.getAttribute("aria-disabled")).toBe("false");
  });
});

describe("a folder of more images than are drawn", () => {
  const { buffer } = TRAITS._stored_points as DataView;
  const text = String.fromCharCode(...new Uint8Array(buffer)).replace('"300"', '"900"');
  const more = new DataView(Uint8Array.from(text, (letter) => letter.charCodeAt(0)).buffer);

  it("is asked for those in sight, and for their pictures once they are there", async () => {
    vi.useFakeTimers();
    const { model } = await showView(ImageOverview, {
      ...SHOWN,
      _stored: { ...STORED, has_files: true },
      _stored_points: more,
    });
    const asked = (name: string) => model.sent.filter(({ method }) => method === name);
    const rest = () =>
      act(async () => {
        vi.advanceTimersByTime(200);
        await settle();
      });
    await act(() => find("stored-larger").click());
    await act(() => find("stored-larger").click());
    await rest();
    const [closer] = asked("stored_points");
    expect(asked("stored_pictures")).toHaveLength(1);
    await act(async () => {
      const { id } = closer as { id: string };
      model.emit("msg:custom", { id, ok: true, meta: {} }, [REPLIES.stored_points]);
      await settle();
    });
    await rest();
    expect(asked("stored_pictures")).toHaveLength(2);
  });
});

describe("the heads over the images of a folder", () => {
  it("have the means as their importance once that is chosen", async () => {
    const { store } = await showView(HeadGrid, SHOWN);
    const here = store.importance.value;
    await act(() => {
      find("heads-of").querySelectorAll("button")[1]?.click();
    });
    expect(store.importance.value).toEqual(meanImportance(store.storedHeads.value));
    expect(store.importance.value?.metric).toBe("taylor");
    expect(store.importanceHere.value).toBe(here);
    expect(find("readout").textContent).toMatch(/the mean over \d+ images of star/);
  });

  it("are those of the image where there is no folder", () => {
    const { store } = storeOf();
    store.importanceOf.value = "images";
    expect(store.importance.value).toBe(store.importanceHere.value);
    expect(new FakeModel().values._stored).toBe(STATE._stored);
  });
});
