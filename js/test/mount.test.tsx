// One store a widget, with proxies as anywidget's host makes them.

import { act } from "preact/test-utils";
import { describe, expect, it, vi } from "vitest";
import { widget } from "../src/entry/mount";
import type { AnyModel } from "../src/protocol/model";
import type { Store } from "../src/state/store";
import { FakeModel, settle } from "./fake";

/** What anywidget 0.11 hands out: a new object each time, which leads to the same model. */
function proxy(model: FakeModel, manager: object): AnyModel {
  return {
    get: model.get.bind(model),
    set: model.set.bind(model),
    save_changes: model.save_changes.bind(model),
    send: model.send.bind(model),
    on: model.on.bind(model),
    off: model.off.bind(model),
    widget_manager: manager,
  };
}

function hosted() {
  const manager = {};
  const model = new FakeModel({ _widget_id: "a" });
  const stores: Store[] = [];
  const view = widget(({ store }) => {
    if (!stores.includes(store)) stores.push(store);
    return null;
  }, "widget");
  const show = async (of = model, within: object = manager) => {
    const closing = new AbortController();
    const el = document.createElement("div");
    const host = { model: proxy(of, within), el, signal: closing.signal };
    await act(() => {
      view.render(host);
    });
    return closing;
  };
  const initialize = (of = model, within: object = manager) => {
    const life = new AbortController(); // of this model alone
    const el = document.createElement("div");
    view.initialize({ model: proxy(of, within), el, signal: life.signal });
    return life;
  };
  return { model, view, stores, show, initialize };
}

const asked = ({ sent }: FakeModel) => sent.filter(({ method }) => method === "attention").length;

describe("mounting", () => {
  it("has one store for all views of a widget, which asks for each layer once", async () => {
    const { model, stores, show, initialize } = hosted();
    initialize();
    await show();
    await show();
    await settle();
    expect(stores).toHaveLength(1);
    expect(asked(model)).toBe(2);
  });

  it("closes a view that a host took out without a word, but none that is still to be placed", async () => {
    vi.useFakeTimers();
    const model = new FakeModel({ _widget_id: "a" });
    const view = widget(() => <p>here</p>, "widget");
    const { signal } = new AbortController();
    view.initialize({ model, el: document.createElement("div"), signal });
    const show = async (placed: boolean) => {
      const el = document.createElement("div");
      await act(() => void view.render({ model, el, signal }));
      if (placed) document.body.append(el); // after it was drawn, as JupyterLab does
      return el;
    };
    const replaced = await show(true);
    await act(() => void vi.advanceTimersByTime(300));
    replaced.remove();
    const [next, hidden] = [await show(true), await show(false)];
    await act(() => void vi.advanceTimersByTime(2000));
    expect(replaced.textContent).toBe("");
    for (const el of [next, hidden]) expect(el.textContent).toContain("here");
    next.remove();
    vi.useRealTimers();
  });

  it("keeps the store when a view is closed, and lets it go with the model", async () => {
    const { model, stores, show, initialize } = hosted();
    const life = initialize();
    (await show()).abort();
    expect(model.listening).toBeGreaterThan(0);
    await show();
    expect(stores).toHaveLength(1);
    life.abort();
    expect(model.listening).toBe(0);
    initialize();
    await show();
    expect(stores).toHaveLength(2);
  });

  it("leaves nothing of a view that is closed: no key of the window is listened to", async () => {
    const { model, view, initialize } = hosted();
    initialize();
    const live: AbortSignal[] = [];
    const add = vi.spyOn(window, "addEventListener").mockImplementation((...[, , how]) => {
      if (typeof how === "object" && how.signal) live.push(how.signal);
    });
    const { signal } = new AbortController(); // of the model, which lives on
    let close = () => {};
    await act(() => {
      close = view.render({ model, el: document.createElement("div"), signal });
    });
    expect(live.filter(({ aborted }) => !aborted).length).toBeGreaterThan(4);
    await act(() => close());
    expect(live.filter(({ aborted }) => !aborted)).toEqual([]);
    add.mockRestore();
  });

  it("counts views anew on a page that is loaded again, as those of the former stay counted", () => {
    const { model, initialize } = hosted();
    model.values._view_count = 1;
    initialize();
    expect(model.values._view_count).toBe(0);
  });

  it("undoes in one view what another one did", async () => {
    const { model, stores, show, initialize } = hosted();
    initialize();
    await show();
    await show();
    const [store] = stores;
    await act(() => store?.togglePruned(1, 0));
    expect(store?.canUndo.value).toBe(true);
    await act(() => store?.undo());
    expect(model.values.pruned_heads).toEqual([]);
  });

  it("tells widgets apart, and copies of one in two notebooks", async () => {
    const { stores, show, initialize } = hosted();
    initialize();
    initialize(new FakeModel({ _widget_id: "b" }));
    const other = {};
    initialize(new FakeModel({ _widget_id: "a" }), other);
    await show();
    await show(new FakeModel({ _widget_id: "b" }));
    await show(new FakeModel({ _widget_id: "a" }), other);
    expect(stores).toHaveLength(3);
  });

  it("does without ids where a host hands the same object to every view", async () => {
    const { stores, view } = hosted();
    const model = new FakeModel();
    const el = document.createElement("div");
    const host = { model, el, signal: new AbortController().signal };
    await act(() => {
      view.initialize(host);
      view.render(host);
      view.render({ ...host, el: document.createElement("div") });
    });
    expect(stores).toHaveLength(1);
  });

  it("shows what a host renders without having initialized it", async () => {
    const { model, stores, show } = hosted();
    const closing = await show();
    expect(stores).toHaveLength(1);
    closing.abort();
    expect(model.listening).toBe(0);
  });
});

describe("a host's page", () => {
  const shown = async (changes: Record<string, unknown>) => {
    const model = new FakeModel(changes);
    const el = document.createElement("div");
    document.body.append(el);
    const closing = new AbortController();
    const view = widget(() => <input />, "widget");
    await act(() => {
      view.render({ model, el, signal: closing.signal });
    });
    return { model, el, closing };
  };

  it("does not reach into the widget, which has the sheet that the kernel sent", async () => {
    const { model, el, closing } = await shown({ _css: ".vaw-root { color: red }" });
    expect(el.querySelector(".vaw-root")).toBeNull();
    expect(el.shadowRoot?.querySelector(".vaw-root")).not.toBeNull();
    expect(el.shadowRoot?.querySelector("style")?.textContent).toContain("color: red");
    model.kernel("_css", ".vaw-root { color: blue }");
    expect(el.shadowRoot?.querySelector("style")?.textContent).toContain("color: blue");
    closing.abort();
    expect(el.shadowRoot?.querySelector(".vaw-root")).toBeNull();
  });

  it("is not told of keys, but of those pressed with Ctrl", async () => {
    for (const changes of [{}, { _css: "p {}" }]) {
      const { el, closing } = await shown(changes);
      const heard: string[] = [];
      const hear = (event: Event) => heard.push((event as KeyboardEvent).key);
      document.addEventListener("keydown", hear);
      const tree = el.shadowRoot ?? el;
      for (const at of [".vaw-root", "input", "button"])
        for (const key of ["x", "Escape", "Enter", "s"])
          tree.querySelector(at)?.dispatchEvent(
            new KeyboardEvent("keydown", {
              key,
              bubbles: true,
              composed: true,
              ctrlKey: key === "s",
            }),
          );
      expect(heard).toEqual(["s", "s", "s"]);
      document.removeEventListener("keydown", hear);
      closing.abort();
      el.remove();
    }
  });

  it("gets no key that follows a press in the widget, whatever became of what was pressed", async () => {
    const { el, closing } = await shown({ _css: "p {}" });
    const heard: string[] = [];
    const hear = (event: Event) => heard.push((event as KeyboardEvent).key);
    document.addEventListener("keydown", hear);
    const press = (key: string) =>
      document.body.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
    const point = (at: Element) =>
      at.dispatchEvent(new MouseEvent("pointerdown", { bubbles: true, composed: true }));
    press("a");
    point(el.shadowRoot?.querySelector("button") as Element);
    press("x");
    expect(heard).toEqual(["a"]);
    expect(el.shadowRoot?.activeElement?.className).toBe("vaw-root");
    point(document.body);
    press("b");
    expect(heard).toEqual(["a", "b"]);
    document.removeEventListener("keydown", hear);
    closing.abort();
    el.remove();
  });
});
