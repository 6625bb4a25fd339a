// What a real session sends, read by the code that reads it in the browser.

import { describe, expect, it } from "vitest";
import { decode } from "../src/protocol/safetensors";
import { RESULTS, SELECTIONS } from "../src/protocol/schema";
import { shownOf } from "../src/state/comparison";
import { best, scoresOf, scoresShown } from "../src/state/faithfulness";
import { overviewOf } from "../src/state/overview";
import { hereOf, patternMapOf, picturesOf } from "../src/state/patterns";
import { importanceAt } from "../src/state/results";
import { strengthOf } from "../src/state/strength";
import { settle, storeOf } from "./fake";
import { REPLIES, TRAITS } from "./fixtures/session";

const { store } = storeOf({ ...TRAITS }, false);
const info = store.info.value;
if (!info) throw new Error("the session says nothing of its model");
const { num_layers, num_heads, num_tokens, rows, cols } = info;
const finite = (values: ArrayLike<number>) => Array.from(values).every(Number.isFinite);

describe("a session's traits", () => {
  it("are all there, and no more", () => {
    expect(Object.keys(TRAITS).sort()).toEqual([...SELECTIONS, ...RESULTS].sort());
  });

  it("tell the model, the decision and the maps", () => {
    expect(num_tokens).toBe(info.prefix.length + rows * cols);
    expect(store.decision.value?.rows.length).toBeGreaterThanOrEqual(5);
    expect(store.decision.value?.pruned).toEqual([[0, 1]]);
    const maps = store.maps.value;
    expect(Object.keys(maps).sort()).toEqual(["daam", "daam.before", "rollout", "rollout.before"]);
    for (const map of Object.values(maps)) expect(map).toHaveLength(num_layers * rows * cols);
    expect(scoresShown(store.traits)?.method).toBe("daam");
  });

  it("tell how much heads matter, and how they attend", () => {
    const importance = store.importance.value;
    expect(importance?.heads).toBe(Math.max(...num_heads));
    expect(importance?.baseline).toBeCloseTo(store.decision.value?.target_after ?? Number.NaN);
    expect(importanceAt(importance, 0, 0)).not.toBeNaN();
    expect(importanceAt(importance, 0, 1)).toBeNaN(); // pruned
    const strength = strengthOf(store.strengthTensors.value, store.strengthSet.value);
    expect(strength?.hops).toBe(Math.max(rows, cols));
    expect(strength?.shares(2, 1).reduce((a, b) => a + b, 0)).toBeCloseTo(1);
    expect(strength?.ofSet(2, 1)).toHaveLength(info.set_size);
    expect(finite(strength?.classShares(2, 1) ?? [Number.NaN])).toBe(true);
  });

  it("hold the rows that a layer holds", () => {
    const token = store.traits.selected_token.value;
    const { attention, scale } = decode(REPLIES.attention).tensors;
    const row = new Float32Array(num_tokens);
    expect(store.attention.read(2, 1, token, row)).toBe(true);
    const of = num_tokens + token;
    for (let key = 0; key < num_tokens; key++) {
      const value = ((attention.data[of * num_tokens + key] ?? 0) / 255) * (scale.data[of] ?? 0);
      expect(Math.abs((row[key] ?? 0) - value)).toBeLessThan(1e-6);
    }
  });

  it("tell of the set of images", () => {
    const overview = overviewOf(store.traits._overview.value);
    expect(overview?.points).toHaveLength(info.set_size);
    expect(store.thumbnails.value?.tensors.thumbnails.shape).toEqual([info.set_size, 48, 48, 3]);
    expect(Object.values(store.traits.curves.value)[0]?.order[0]).toHaveLength(2);
  });

  it("compare maps", () => {
    const shown = shownOf(store.traits._comparison.value, store.comparisonMaps.value);
    if (!shown) throw new Error("the comparison and its maps do not belong together");
    expect(shown.comparison.names).toHaveLength(shown.maps.length / rows / cols);
    const scores = scoresOf(shown, store.traits.faithfulness.value);
    expect(scores && best(scores).every((item) => item >= 0)).toBe(true);
  });

  it("place heads among patterns of attention", () => {
    const map = patternMapOf("class", decode(REPLIES.pattern_map));
    const heads = num_heads.reduce((a, b) => a + b, 0);
    expect(map.points).toHaveLength(2 * heads * info.set_size);
    expect(map.distances).toHaveLength(heads * heads);
    expect(hereOf("class", store.patternsHere.value)?.labels).toHaveLength(heads);
    const { bytes, height, width } = picturesOf(decode(REPLIES.pattern_thumbnails));
    expect(bytes).toHaveLength(heads * height * width);
    expect(picturesOf(decode(REPLIES.pattern_at)).bytes).toHaveLength(height * width);
  });
});

describe("a session's reply", () => {
  it("fills the browser's matrices", async () => {
    const { store: asking, model } = storeOf({ ...TRAITS }, false);
    const [asked] = model.sent;
    expect(asked).toMatchObject({ method: "attention", params: { layer: 2 } });
    const reply = { id: asked?.id, ok: true, meta: { version: TRAITS._version } };
    model.emit("msg:custom", reply, [REPLIES.attention]);
    await settle();
    const matrix = asking.attention.matrix(2, -1);
    expect(matrix?.tokens).toBe(num_tokens);
    const sum = matrix?.values.subarray(0, num_tokens).reduce((a, b) => a + b, 0);
    expect(sum).toBeCloseTo(1, 2);
  });
});
