import { describe, expect, it } from "vitest";
import { layerShares, shownMap } from "../src/state/maps";
import { KERNEL_SAYS } from "../src/state/store";
import { number, percent, rank, tokenName } from "../src/state/words";
import { attention, rowBytes, settle, storeOf, TOKENS } from "./fake";

const read = (
  store: ReturnType<typeof storeOf>["store"],
  layer: number,
  head: number,
  token: number,
) => {
  const out = new Float32Array(TOKENS);
  return store.attention.read(layer, head, token, out) ? Array.from(out) : null;
};
const row = (layer: number, head: number, token: number) =>
  Array.from({ length: TOKENS }, (_, key) => attention(layer, head, token, key));

describe("attention", () => {
  it("reads the kernel's rows before the layers are there", () => {
    const { store } = storeOf({}, false);
    const values = read(store, 1, 1, 0);
    for (const [i, value] of row(1, 1, 0).entries()) expect(values?.[i]).toBeCloseTo(value, 2);
    expect(read(store, 1, 1, 3)).toBeNull();
  });

  it("streams the layers, the selected one first, and answers any token from them", async () => {
    const { store, model } = storeOf();
    await settle();
    const asked = model.sent.map((message) => (message.params as { layer: number }).layer);
    expect(asked).toEqual([1, 0]);
    expect(store.attention.has(5)).toBe(true);
    const values = read(store, 0, 1, 5);
    for (const [i, value] of row(0, 1, 5).entries()) expect(values?.[i]).toBeCloseTo(value, 2);
  });

  it("reads columns when asked who looks, and the mean of heads", async () => {
    const { store } = storeOf();
    await settle();
    store.set({ direction: "attended_by" });
    const column = read(store, 0, 0, 2);
    for (let q = 0; q < TOKENS; q++) expect(column?.[q]).toBeCloseTo(attention(0, 0, q, 2), 2);
    store.set({ direction: "attends_to" });
    const mean = read(store, 0, -1, 2);
    const expected = (attention(0, 0, 2, 4) + attention(0, 1, 2, 4)) / 2;
    expect(mean?.[4]).toBeCloseTo(expected, 2);
  });

  it("drops what is stale when the version changes", async () => {
    const { store, model } = storeOf();
    await settle();
    model.answers = false;
    model.kernel("_version", 2);
    expect(store.attention.hasLayer(0)).toBe(false);
    model.kernel("_attention_rows", rowBytes(4));
    expect(read(store, 0, 0, 4)).not.toBeNull();
  });

  it("keeps the rows of tokens that were looked at, until there is another image or version", () => {
    const { store, model } = storeOf({}, false);
    model.kernel("_attention_rows", rowBytes(4));
    model.kernel("_attention_rows", rowBytes(5));
    expect([0, 4, 5, 6].map((token) => store.attention.has(token))).toEqual([
      true,
      true,
      true,
      false,
    ]);
    const values = read(store, 1, 1, 4);
    for (const [i, value] of row(1, 1, 4).entries()) expect(values?.[i]).toBeCloseTo(value, 2);
    store.set({ direction: "attended_by" });
    expect(read(store, 1, 1, 4)).toBeNull();
    store.set({ direction: "attends_to" });
    model.kernel("_version", 2); // the rows that came last belong to it
    expect([4, 5].map((token) => store.attention.has(token))).toEqual([false, true]);
    model.kernel("_attention_rows", new DataView(new ArrayBuffer(0)));
    expect(store.attention.has(5)).toBe(false);
  });

  it("asks for the rows of a token, where they are not at hand", async () => {
    const { store, model } = storeOf({}, false);
    const rows = () => model.sent.filter((message) => message.method === "rows");
    expect(rows()).toEqual([]);
    store.set({ selected_token: 4 });
    expect(rows().map((message) => message.params)).toEqual([
      { token: 4, direction: "attends_to" },
    ]);
    model.kernel("_attention_rows", rowBytes(4));
    store.set({ selected_token: 0 }); // kept
    expect(rows().length).toBe(1);
    model.kernel("selected_token", 5); // from Python
    expect(rows().length).toBe(2);
    const streamed = storeOf();
    await settle();
    for (const token of [3, 4, 5]) streamed.store.set({ selected_token: token });
    streamed.store.set({ direction: "attended_by" });
    expect(streamed.model.sent.filter((message) => message.method === "rows")).toEqual([]);
  });

  it("asks for the layers that did not come at first, and reads each where it came", async () => {
    const { store, model } = storeOf({}, false);
    model.kernel("_attention_rows", rowBytes(4, [1]));
    expect([read(store, 0, 0, 4), store.attention.has(4)]).toEqual([null, true]);
    const more = () => model.sent.filter((message) => message.method === "more_rows");
    expect(more()).toEqual([]); // another token is selected
    store.set({ selected_token: 4 });
    const [asked] = more();
    expect(asked?.params).toEqual({ token: 4, direction: "attends_to", layer: 0 });
    const answer = { id: asked?.id, ok: true, meta: { version: 1 } };
    model.emit("msg:custom", answer, [rowBytes(4, [0])]);
    await settle();
    for (const layer of [0, 1]) {
      const values = read(store, layer, 1, 4);
      for (const [i, value] of row(layer, 1, 4).entries())
        expect(values?.[i]).toBeCloseTo(value, 2);
    }
    expect(more().length).toBe(1);
  });

  it("shows the token that it has, where no kernel can be asked for another", () => {
    const { store, model } = storeOf({}, false);
    const manager: { kernel: unknown } = { kernel: null };
    Object.assign(model, { widget_manager: manager });
    store.set({ selected_token: 4 }); // it is not at hand
    expect(store.disconnected.value).toBe(true);
    expect(store.refused.value).toBe(1);
    store.traits.selected_token.value = 4; // as saved
    expect(store.shownToken.value).toBe(0);
    manager.kernel = { status: "idle" };
    store.set({ opacity: 0.5 });
    expect(store.shownToken.value).toBe(4);
  });

  it("asks for no matrices of long sequences", () => {
    const info = { ...(storeOf().model.values._model_info as object), num_tokens: 4097 };
    expect(storeOf({ _model_info: info }).model.sent).toEqual([]);
  });
});

describe("store", () => {
  it("takes the kernel's changes and sends its own in one message", () => {
    const { store, model } = storeOf();
    model.kernel("selected_layer", 0);
    expect(store.traits.selected_layer.value).toBe(0);
    store.set({ selected_layer: 1, selected_head: 1 });
    expect(model.saved).toEqual([["selected_layer", "selected_head", "_history"]]);
  });

  it("prunes, undoes, redoes and resets", () => {
    const { store, model } = storeOf();
    const pruned = () => model.values.pruned_heads;
    store.togglePruned(1, 0);
    store.togglePruned(0, 1);
    expect(pruned()).toEqual([
      [0, 1],
      [1, 0],
    ]);
    store.togglePruned(1, 0);
    expect(pruned()).toEqual([[0, 1]]);
    store.undo();
    store.undo();
    expect(pruned()).toEqual([[1, 0]]);
    store.redo();
    expect(pruned()).toEqual([
      [0, 1],
      [1, 0],
    ]);
    store.resetPruned();
    expect(pruned()).toEqual([]);
    store.undo();
    expect(pruned()).toEqual([
      [0, 1],
      [1, 0],
    ]);
  });

  it("shows the hovered token only when its attention is at hand", async () => {
    const { store, model } = storeOf({}, false);
    store.hovered.value = 3;
    expect(store.shownToken.value).toBe(0);
    model.answers = true;
    model.kernel("_version", 2);
    await settle();
    expect(store.shownToken.value).toBe(3);
  });

  it("notices when the kernel is gone, and goes on with what is there", async () => {
    const { store, model } = storeOf();
    await settle();
    const manager = { kernel: { status: "idle", isDisposed: false } };
    Object.assign(model, { widget_manager: manager });
    store.set({ selected_token: 2 });
    expect(store.disconnected.value).toBe(false);
    manager.kernel.status = "dead";
    store.set({ selected_token: 3 });
    expect(store.disconnected.value).toBe(true);
    expect(model.saved).toHaveLength(1);
    expect(read(store, 0, 0, 3)).not.toBeNull();
  });

  it("follows no choice that needs the kernel while that is gone", async () => {
    const { store, model } = storeOf();
    await settle();
    Object.assign(model, { widget_manager: { kernel: null } });
    store.set({ selected_layer: 0 });
    store.set({ method: "daam", direction: "attended_by" });
    expect(store.refused.value).toBe(0);
    for (const changes of [
      { target: 0 },
      { pruned_heads: [[0, 0] as const] },
      { method: "gmar2" },
    ]) {
      store.set(changes as object);
    }
    store.prune([[0, 1]]);
    expect(store.refused.value).toBe(4);
    expect([store.traits.target.value, store.traits.pruned_heads.value]).toEqual([1, []]);
    expect(await store.request("strength", {})).toBe(KERNEL_SAYS.gone);
  });

  it("stops listening when the widget is closed", async () => {
    const { model, abort } = storeOf();
    await settle();
    abort.abort();
    expect(model.listening).toBe(0);
  });
});

describe("maps", () => {
  const all = new Float32Array([0, 0, 0, 1, 0, 1, 2, 4]);

  it("share one scale, have their own, or the authors' sigmoid", () => {
    expect(shownMap(all, 2, 0, "shared")).toMatchObject({ offset: 0, low: 0, high: 4 });
    expect(shownMap(all, 2, 0, "layer")).toMatchObject({ low: 0, high: 1 });
    const sigmoid = shownMap(all, 2, 1, "sigmoid");
    expect(sigmoid.values[sigmoid.offset + 3]).toBeCloseTo(1 / (1 + Math.exp(-5)) - 0.5);
    expect(sigmoid.high).toBeCloseTo(0.4933, 3);
  });

  it("tell how much of the map is there", () => {
    expect(layerShares(all, 2)).toEqual([1 / 7, 1]);
    expect(layerShares(new Float32Array(4), 2)).toEqual([0, 0]);
  });
});

describe("words", () => {
  it("name tokens, numbers and ranks", () => {
    const { store } = storeOf();
    const info = store.info.value;
    if (!info) throw new Error("no info");
    expect(tokenName(info, 0)).toBe("class token");
    expect(tokenName(info, 5)).toBe("patch (1, 1)");
    expect([number(0), number(0.00012), number(0.5), number(Number.NaN)]).toEqual([
      "0",
      "0.00012",
      "0.500",
      "–",
    ]);
    expect([percent(0.004), percent(0.42)]).toEqual(["0.4 %", "42 %"]);
    expect([rank(1, 9), rank(11, 36), rank(22, 36)]).toEqual([
      "first of 9",
      "11th of 36",
      "22nd of 36",
    ]);
  });
});
