import { expect, test } from "vitest";
import type { PageKernel, Publish } from "../src/page/kernel";
import { PageSession } from "../src/page/session";
import type { AnyModel } from "../src/protocol/model";
import { Store } from "../src/state/store";
import { FakeModel } from "./fake";

/** A kernel that prunes nothing but head 1 of layer 0, and answers one request. */
class OneHead implements PageKernel {
  readonly saved = true;
  readonly asked: string[] = [];

  constructor(private readonly publish: Publish) {}

  follows(changes: object): boolean {
    return !("pruned_heads" in changes) || `${changes.pruned_heads}` === "0,1";
  }

  select(changes: object): void {
    if ("pruned_heads" in changes) this.publish({ _version: 9 });
  }

  async answer(method: string, _: object, signal: AbortSignal): Promise<DataView | null> {
    this.asked.push(method);
    if (method === "image") return new DataView(new ArrayBuffer(3));
    if (method === "curve") throw new Error("Needs the model.");
    await new Promise((done) => signal.addEventListener("abort", done));
    return null;
  }
}

function page(widgets = 1): [Store[], OneHead] {
  const values = { ...new FakeModel().values };
  let kernel: OneHead | undefined;
  const session = new PageSession(values, (publish) => {
    kernel = new OneHead(publish);
    return kernel;
  });
  const models: AnyModel[] = [];
  for (let i = 0; i < widgets; i++) models.push(session.model({ panels: [], tour_step: -1 }));
  const { signal } = new AbortController();
  return [models.map((model) => new Store(model, signal)), kernel as unknown as OneHead];
}

test("what is chosen in one widget is known to the others, and followed once", () => {
  const [[one, other]] = page(2) as [[Store, Store], OneHead];
  one.set({ selected_layer: 0 });
  expect(other.traits.selected_layer.value).toBe(0);
  one.togglePruned(0, 1);
  expect(other.traits.pruned_heads.value).toEqual([[0, 1]]);
  expect(one.traits._version.value).toBe(9);
  expect(other.traits._version.value).toBe(9);
});

test("what cannot be followed changes nothing", () => {
  const [[one, other]] = page(2) as [[Store, Store], OneHead];
  one.togglePruned(1, 0);
  expect(one.traits.pruned_heads.value).toEqual([]);
  expect(other.traits.pruned_heads.value).toEqual([]);
  expect(one.saved).toBe(true);
});

test("traits of its own stay with a widget", () => {
  const [[one, other]] = page(2) as [[Store, Store], OneHead];
  one.set({ panels: ["picture"] });
  expect(other.traits.panels.value).toEqual([]);
});

test("a request is answered, refused in words, or cancelled", async () => {
  const [[store], kernel] = page() as unknown as [[Store], OneHead];
  const { buffer } = await store.requests.ask("image", { index: 0 });
  expect(buffer.byteLength).toBe(3);
  expect(await store.request("curve", { order: "random" })).toBe("Needs the model.");
  const abort = new AbortController();
  const waits = store.requests.ask("partial", { layer: 0, head: 0 }, abort.signal);
  abort.abort();
  await expect(waits).rejects.toThrow("No longer wanted.");
  expect(kernel.asked.slice(-3)).toEqual(["image", "curve", "partial"]);
});
