import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { KERNEL_SAYS, Store } from "../src/state/store";
import { FakeModel } from "./fake";

type Listener = (kernel: unknown, status: string) => void;

/** A kernel as a notebook's manager tells of it. */
class FakeKernel {
  status = "idle";
  isDisposed = false;
  readonly listeners = new Set<Listener>();
  readonly statusChanged = {
    connect: (listener: Listener) => this.listeners.add(listener),
    disconnect: (listener: Listener) => this.listeners.delete(listener),
  };

  turns(...states: string[]) {
    for (const status of states) {
      this.status = status;
      for (const listener of this.listeners) listener(this, status);
    }
  }
}

function beside(kernel: FakeKernel | null, answers = true) {
  const model = new FakeModel();
  model.answers = answers;
  Object.assign(model, { widget_manager: { kernel } });
  const abort = new AbortController();
  return { model, abort, store: new Store(model, abort.signal) };
}

describe("the kernel", () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it("is asked once whether it knows the widget, and is believed", async () => {
    const { store, model } = beside(new FakeKernel());
    await vi.advanceTimersByTimeAsync(10_000);
    expect(store.kernel.value).toBe("alive");
    expect(model.sent.filter(({ method }) => method === "alive")).toHaveLength(1);
  });

  it("that restarts no longer knows the widget, and nothing goes on waiting", async () => {
    const kernel = new FakeKernel();
    const { store, model } = beside(kernel);
    await vi.advanceTimersByTimeAsync(100);
    model.answers = false;
    const waits = store.request("strength", {});
    kernel.turns("restarting", "starting", "idle");
    expect(store.kernel.value).toBe("restarted");
    expect(await waits).toBe(KERNEL_SAYS.restarted);
    expect(await store.request("strength", {})).toBe(KERNEL_SAYS.restarted);
    await vi.advanceTimersByTimeAsync(10_000);
    expect(store.kernel.value).toBe("restarted");
  });

  it("that was cut off and is back is known again", async () => {
    const kernel = new FakeKernel();
    const { store, model } = beside(kernel);
    await vi.advanceTimersByTimeAsync(100);
    kernel.turns("restarting", "idle");
    model.emit("comm_live_update");
    await vi.advanceTimersByTimeAsync(100);
    expect(store.kernel.value).toBe("alive");
  });

  it("that was connected after it was first asked is believed", async () => {
    const { model, store } = beside(new FakeKernel(), false);
    await vi.advanceTimersByTimeAsync(100);
    model.answers = true;
    model.emit("comm_live_update");
    await vi.advanceTimersByTimeAsync(10_000);
    expect(store.kernel.value).toBe("alive");
  });

  it("that says nothing while it is idle never heard of the widget", async () => {
    const kernel = new FakeKernel();
    kernel.status = "busy";
    const { store } = beside(kernel, false);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(store.kernel.value).toBe("alive"); // a cell may take long
    kernel.turns("idle");
    await vi.advanceTimersByTimeAsync(5000);
    expect(store.kernel.value).toBe("elsewhere");
  });

  it("to which nothing can be sent is lost", async () => {
    const { store, model } = beside(new FakeKernel());
    await vi.advanceTimersByTimeAsync(100);
    model.send = () => {
      throw new Error("Cannot send");
    };
    expect(await store.request("strength", {})).toBe(KERNEL_SAYS.restarted);
    expect(store.kernel.value).toBe("restarted");
  });

  it("is left alone when the widget is closed", async () => {
    const kernel = new FakeKernel();
    const { abort } = beside(kernel);
    expect(kernel.listeners.size).toBe(1);
    abort.abort();
    expect(kernel.listeners.size).toBe(0);
  });
});
