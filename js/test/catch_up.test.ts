import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Store } from "../src/state/store";
import { FakeModel } from "./fake";

const COMPUTING = {
  ...{ state: "computing", label: "maps", progress: null, error: null },
  ...{ milliseconds: null, paused: [] },
};

/** A host other than a notebook. */
function elsewhere(changes: Record<string, unknown> = {}, answers = true) {
  const model = new FakeModel({ _bundle: null, _update: 3, ...changes });
  model.answers = answers;
  const store = new Store(model, new AbortController().signal);
  const asked = (name: string) => model.sent.filter(({ method }) => method === name).length;
  return { model, store, asked };
}

describe("a host that loses messages, or keeps them back", () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it("is asked again and again while something is awaited, and then no more", async () => {
    const { model, asked } = elsewhere({ status: COMPUTING });
    await vi.advanceTimersByTimeAsync(10_000);
    const while_ = asked("alive");
    expect(while_).toBeGreaterThan(30);
    model.kernel("status", { ...COMPUTING, state: "idle" });
    await vi.advanceTimersByTimeAsync(10_000);
    expect(asked("alive")).toBeLessThanOrEqual(while_ + 1);
  });

  it("is asked for what follows from a choice", async () => {
    const { store, asked } = elsewhere();
    await vi.advanceTimersByTimeAsync(5000);
    const before = asked("alive");
    store.set({ selected_layer: 1 });
    await vi.advanceTimersByTimeAsync(1000);
    expect(asked("alive")).toBeGreaterThan(before + 2);
  });

  it("sends all traits again, once, where an update did not come", async () => {
    const { model, asked } = elsewhere({ status: COMPUTING });
    await vi.advanceTimersByTimeAsync(500);
    for (const number of [4, 6, 5]) model.kernel("_update", number); // threads need no order
    await vi.advanceTimersByTimeAsync(1000);
    expect(asked("all_traits")).toBe(0);
    for (const number of [7, 9]) model.kernel("_update", number);
    await vi.advanceTimersByTimeAsync(1000);
    expect(asked("all_traits")).toBe(1);
    model.kernel("_update", 10);
    await vi.advanceTimersByTimeAsync(1000);
    expect(asked("all_traits")).toBe(1);
  });

  it("is asked for all traits again, with the next choice, where these did not come either", async () => {
    const { model, store, asked } = elsewhere();
    const { send } = model;
    let loses = true;
    model.send = (content, ...more) => {
      if (loses && content.method === "all_traits") model.sent.push(content);
      else send.call(model, content, ...more);
    };
    model.kernel("_update", 9);
    await vi.advanceTimersByTimeAsync(10_000);
    expect(asked("all_traits")).toBe(1);
    loses = false;
    await vi.advanceTimersByTimeAsync(15_000);
    const ended = asked("alive");
    await vi.advanceTimersByTimeAsync(60_000);
    expect(asked("alive")).toBe(ended);
    store.set({ selected_layer: 1 });
    await vi.advanceTimersByTimeAsync(5000);
    expect(asked("all_traits")).toBe(2);
  });

  it("is asked seldom where nobody ever answers, and again and again after a choice", async () => {
    const { model, store, asked } = elsewhere({ status: COMPUTING }, false);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(asked("alive")).toBe(15);
    await vi.advanceTimersByTimeAsync(600_000);
    expect(asked("alive")).toBeLessThan(27);
    model.answers = true;
    store.set({ selected_layer: 1 });
    await vi.advanceTimersByTimeAsync(5000);
    expect(store.attention.complete()).toBe(true);
    expect(asked("alive")).toBeGreaterThan(35);
  });

  it("hears no question before it is known to be there, and then each once", async () => {
    const { model, store, asked } = elsewhere({}, false);
    Object.assign(model, { widget_manager: { kernel: { status: "idle", isDisposed: false } } });
    await vi.advanceTimersByTimeAsync(500);
    expect([asked("alive"), asked("attention")]).toEqual([1, 0]); // the first was lost
    model.answers = true;
    model.emit("comm_live_update");
    await vi.advanceTimersByTimeAsync(500);
    expect(store.attention.has(0)).toBe(true);
    const layers = model.sent.filter(({ method }) => method === "attention");
    expect(new Set(layers.map(({ params }) => JSON.stringify(params))).size).toBe(layers.length);
  });

  it("may hand on bytes in any form, and nothing where there are none", async () => {
    const forms: ((bytes: ArrayBuffer) => unknown)[] = [
      (bytes) => new Uint8Array(bytes),
      (bytes) => new DataView(bytes),
      (bytes) => bytes,
    ];
    for (const form of forms) {
      const { model, store } = elsewhere();
      const { emit } = model;
      model.emit = (event, ...values) => {
        const [, buffers] = values as [unknown, DataView<ArrayBuffer>[] | undefined];
        if (event !== "msg:custom") return emit.call(model, event, ...values);
        const handed = buffers?.map((one) => form(one.buffer.slice(one.byteOffset)));
        emit.call(model, event, values[0], handed);
      };
      await vi.advanceTimersByTimeAsync(500);
      expect(store.attention.has(0)).toBe(true);
    }
  });

  it("is asked again where an answer was lost", async () => {
    const { model, asked } = elsewhere({}, false);
    await vi.advanceTimersByTimeAsync(3000);
    expect(asked("alive")).toBe(1);
    model.answers = true;
    await vi.advanceTimersByTimeAsync(5000);
    expect(asked("attention")).toBeGreaterThan(0);
  });
});
