import { act } from "preact/test-utils";
import { describe, expect, it } from "vitest";
import { mapOnPicture } from "../src/state/overlay";
import { attentionMap, shownAttention } from "../src/state/shown_attention";
import { drawn, sinksOf } from "../src/state/sinks";
import type { Store } from "../src/state/store";
import { followed } from "../src/views/explorer/use_follow";
import { Scrubber } from "../src/views/layers/scrubber";
import { Picture } from "../src/views/picture/picture";
import { find, root, showView } from "./show";

const says = () => find("picture-says").textContent ?? "";

describe("the large picture", () => {
  it("shows what is chosen, and meanwhile what the pointer is over", async () => {
    const { model, store } = await showView(Picture, { overlay: "explanation" });
    expect(says()).toBe("what speaks for star, up to layer 1, by DAAM");
    await act(() => {
      store.hoveredHead.value = [0, 1];
    });
    expect(says()).toBe("class token attends to … layer 0, head 1");
    await act(() => {
      store.hoveredHead.value = null;
      store.hoveredLayer.value = 0;
    });
    expect(says()).toBe("what speaks for star, up to layer 0, by DAAM");
    const map = { values: new Float32Array(6), offset: 0, rows: 2, cols: 3, low: 0, high: 1 };
    await act(() => {
      store.hoveredLayer.value = null;
      store.hoveredMap.value = { name: "LeGrad", map };
    });
    expect(says()).toBe("LeGrad");
    const info = store.info.value;
    expect(info && mapOnPicture(store)).toBe(map);
    await act(() => {
      store.hoveredMap.value = null;
    });
    const plain = root.querySelectorAll<HTMLElement>('[role="radio"]')[2];
    await act(() => plain?.click());
    expect(model.values.overlay).toBe("plain");
    expect(info && mapOnPicture(store)).toBeNull();
  });

  it("goes back from the plain picture to what lay on it", async () => {
    const { model, store } = await showView(Picture, { overlay: "attention" });
    store.togglePlain();
    expect(model.values.overlay).toBe("plain");
    store.togglePlain();
    expect(model.values.overlay).toBe("attention");
  });

  it("does not say that a class-agnostic map speaks for a class", async () => {
    await showView(Picture, { overlay: "explanation", method: "rollout" });
    expect(says()).toContain("whichever the class");
    expect(says()).not.toContain("star");
  });

  it("puts the mean of heads on their scale among them, and on its own where it is large", async () => {
    const { store } = await showView(Picture, { overlay: "attention", selected_head: -1 });
    const info = store.info.value;
    if (!info) throw new Error("no info");
    const high = (head: number) => shownAttention(store, info, head)?.high ?? Number.NaN;
    expect(high(-1)).toBe(high(0));
    expect(attentionMap(store)?.high).toBeLessThan(high(0));
    store.headScale.value = "own";
    expect(high(-1)).toBe(attentionMap(store)?.high);
  });
});

describe("attention sinks", () => {
  it("are so in more layers than one", async () => {
    const { store } = await showView(Picture);
    const nothing = { bytes: new Uint8Array(98), scale: new Float32Array(14) };
    const layers = new Map([
      [0, { ...nothing, sinks: [2, 3] }],
      [1, { ...nothing, sinks: [3] }],
    ]);
    Object.assign(store.attention, { layers });
    store.attention.filled.value += 1;
    expect(store.attention.sinks(0)).toEqual([3]);
    expect(store.attention.sinks(1)).toEqual([3]);
  });

  const tokens = 40;
  const bytes = new Uint8Array(2 * tokens * tokens).fill(4);
  const scale = new Float32Array(2 * tokens).fill(1);
  for (let row = 0; row < 2 * tokens; row++) bytes[row * tokens + 7] = 100;

  it("are what all tokens attend to", () => {
    const shares = drawn(bytes, scale, 2, tokens);
    expect(shares[7]).toBeCloseTo((100 / 255) * tokens, 4);
    expect(shares[3]).toBeCloseTo((4 / 255) * tokens, 4);
    expect(sinksOf(shares, 1)).toEqual([7]);
    expect(sinksOf(shares, 8)).toEqual([]); // prefix tokens are there to be attended to
  });
});

describe("the column of the picture", () => {
  it("follows what is seen, and stays in its row", () => {
    expect(followed(100, 2000, 500, 0)).toBe(0); // the row is in sight
    expect(followed(-300, 2000, 500, 40)).toBe(348);
    expect(followed(-1900, 2000, 500, 40)).toBe(1500); // its foot is the row's
    expect(followed(-300, 400, 500, 40)).toBe(0); // higher than the rest
  });
});

it("says where a method is refused, in place of what it would show", async () => {
  const error = { message: "LeGrad needs a readout by patches.", hint: "", details: "" };
  const status = { state: "error", label: "", progress: null, error, milliseconds: 1, paused: [] };
  await showView(Both, { method: "legrad", overlay: "explanation", status });
  expect(find("picture-says").textContent).toMatch(/ is refused for this model$/);
  expect(find("method-refused").textContent).toMatch(/ is refused: LeGrad needs a readout/);
});

const Both = ({ store }: { store: Store }) => (
  <>
    <Picture store={store} />
    <Scrubber store={store} compact />
  </>
);
