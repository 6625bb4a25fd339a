import { expect, test } from "vitest";
import { BakedKernel, type BakedSession, keyOf, type Recorded } from "../src/page/baked";
import { NEEDS_MODEL } from "../src/page/kernel";
import { PageSession } from "../src/page/session";
import type { Decision, MapScores, Status } from "../src/protocol/schema";
import type { Traits } from "../src/protocol/traits";
import { Store } from "../src/state/store";
import { FakeModel, layerBytes, rowBytes, settle } from "./fake";

const decision = new FakeModel().values.decision as Decision;
const WITHOUT = {
  target_after: 0.3,
  rows: [
    { index: 0, name: "heart", before: 0.2, after: 0.6 },
    { index: 1, name: "star", before: 0.7, after: 0.3 },
  ],
};
const OTHER = { ...decision, target: 0, target_name: "heart", target_before: 0.2 };

function baked(attention = true): Store {
  const values = { ...new FakeModel().values } as Partial<Traits>;
  const parts: Recorded[][] = [
    [{ buffer: layerBytes(0) }, { buffer: layerBytes(1) }],
    [{ values: { _attention_rows: rowBytes(3) } as Partial<Traits> }],
  ];
  const layers: BakedSession["answers"] = attention
    ? { "attention layer=0": [0, 0], "attention layer=1": [0, 1] }
    : {};
  const session: BakedSession = {
    values,
    explained: {
      1: { values: { decision }, without: { "0,1": WITHOUT } },
      0: { values: { decision: OTHER }, without: {} },
    },
    answers: { ...layers, 'rows direction="attends_to" token=3': [1, 0] },
    pruned: [],
  };
  const part = async (number: number) => parts[number] ?? [];
  const file = async () => new Uint8Array(5);
  const page = new PageSession(values as Record<string, unknown>, (publish) => {
    return new BakedKernel(session, part, publish, file);
  });
  return new Store(page.model({}), new AbortController().signal);
}

const error = (store: Store) => (store.traits.status.value as Status).error;

test("a request is known by its name and its parameters in order", () => {
  expect(keyOf("rows", { token: 3, direction: "attends_to" })).toBe(
    'rows direction="attends_to" token=3',
  );
  expect(keyOf("compare", { of: "methods", method: "daam", classes: [] })).toBe(
    'compare classes=[] of="methods"',
  );
  expect(keyOf("compare", { of: "layers", method: "daam", classes: [] })).toBe(
    'compare classes=[] method="daam" of="layers"',
  );
});

test("a single head is pruned, and restored, and of several the model is needed", () => {
  const store = baked();
  store.togglePruned(0, 1);
  expect(store.decision.value).toMatchObject({ pruned: [[0, 1]], target_after: 0.3 });
  expect(store.decision.value?.rows[0]?.name).toBe("heart");
  expect(error(store)?.message).toContain("Without layer 0, head 1: the decision alone");
  store.togglePruned(1, 1);
  expect(error(store)?.hint).toBe(NEEDS_MODEL);
  expect(store.traits.pruned_heads.value).toEqual([[0, 1]]);
  store.undo();
  expect(store.decision.value).toEqual(decision);
  expect(error(store)).toBe(null);
});

test("classes, methods and tokens that are in the page are followed, others are not", () => {
  const store = baked(false);
  store.set({ target: 0 });
  expect(store.decision.value).toEqual(OTHER);
  store.set({ target: 2 });
  expect(error(store)?.message).toContain("not asked for");
  expect(store.traits.target.value).toBe(0);
  store.set({ method: "rollout" });
  expect(error(store)).toBe(null);
  store.set({ method: "occlusion" });
  expect(store.traits.method.value).toBe("rollout");
  store.set({ selected_token: 5 });
  expect(error(store)?.message).toContain("attention of this token");
  store.set({ selected_token: 3 });
  expect(error(store)).toBe(null);
});

test("rows and layers come from the page", async () => {
  const store = baked(false);
  store.set({ selected_token: 3 });
  await settle();
  expect(store.kernelRows.value?.token).toBe(3);
  const whole = baked();
  await settle();
  expect(whole.attention.complete()).toBe(true);
  whole.set({ selected_token: 5 });
  expect(error(whole)).toBe(null);
});

test("what was asked of another layer or head is not taken for an answer", async () => {
  const store = baked();
  const scores = { method: "daam", layer: 1 } as MapScores;
  store.model.set("faithfulness", { asked: "", map: scores });
  store.model.set("partial", { layer: 1, head: 0, rows: [] });
  expect(await store.request("score_map", {})).toBe("");
  expect(await store.request("partial", { layer: 1, head: 0 })).toBe("");
  expect(await store.request("partial", { layer: 1, head: 1 })).toBe(NEEDS_MODEL);
  store.set({ selected_layer: 0 });
  expect(await store.request("score_map", {})).toBe(NEEDS_MODEL);
});

test("what is not in the page is said, and the page hands itself out", async () => {
  const store = baked();
  expect(await store.request("curve", { order: "random" })).toBe(NEEDS_MODEL);
  expect(await store.request("strength", {})).toBe(NEEDS_MODEL);
  expect((await store.requests.ask("page", {})).buffer.byteLength).toBe(5);
});
