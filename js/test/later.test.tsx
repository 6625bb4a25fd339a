import { act } from "preact/test-utils";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { AnyModel } from "../src/protocol/model";
import { FakeModel, settle } from "./fake";
import { find, showView } from "./show";

const code = vi.hoisted(() => ({ take: (_: unknown) => {}, refuse: (_: unknown) => {} }));

vi.mock("../src/views/explorer/code_here", () => ({
  later: () =>
    new Promise((resolve, reject) => {
      code.take = resolve;
      code.refuse = reject;
    }),
}));

const PANELS = { panels: ["picture", "detail"] };

async function explorer() {
  const { Explorer } = await import("../src/views/explorer/explorer");
  return showView(Explorer, PANELS);
}

describe("a panel whose code comes later", () => {
  beforeEach(() => vi.resetModules());

  it("has its title meanwhile, and its tools", async () => {
    await explorer();
    expect(find("panel-detail").textContent).toContain("Its code is on the way");
    expect(find("panel-picture").querySelector("canvas")).not.toBeNull();
    expect(find("close-detail")).not.toBeNull();
  });

  it("is there once the code is", async () => {
    const { later } = await import("../src/views/explorer/later_panels");
    await explorer();
    await act(async () => {
      code.take(later);
      await settle();
    });
    expect(find("panel-detail").textContent).not.toContain("on the way");
    expect(find("matrix")).not.toBeNull();
  });

  it("says why it is not, and is asked for again when it is opened again", async () => {
    const { store } = await explorer();
    await act(async () => {
      code.refuse(new Error("not on this page"));
      await settle();
    });
    expect(find("panel-detail").textContent).toContain("not on this page");
    const set = async (panels: string[]) =>
      act(async () => {
        store.set({ panels });
        await settle();
      });
    await set(["picture"]);
    await set(["picture", "detail"]);
    expect(find("panel-detail").textContent).toContain("on the way");
  });

  it("is asked for again when a kernel that was busy sends it", async () => {
    const { model } = await explorer();
    await act(async () => {
      code.refuse(new Error("not on this page"));
      await settle();
    });
    await act(async () => {
      model.kernel("_more", "IPY_MODEL_7");
      await settle();
    });
    expect(find("panel-detail").textContent).toContain("on the way");
  });
});

describe("the code of later panels", () => {
  beforeEach(() => vi.useFakeTimers());
  afterEach(() => vi.useRealTimers());

  function fetched(model: AnyModel): Promise<unknown> {
    return import("../src/ui/code_apart").then((apart) => apart.later(model));
  }

  function modelWith(manager: object, _more: string | null = null): FakeModel {
    return Object.assign(new FakeModel({ _more }), { widget_manager: manager });
  }

  it.each([
    ["no kernel sends it", modelWith({ kernel: null })],
    [
      "the model with it is not there",
      modelWith({ get_model: () => Promise.reject() }, "IPY_MODEL_1"),
    ],
    ["the host gives no models", modelWith({}, "IPY_MODEL_1")],
  ])("is said not to be here where %s", async (_, model) => {
    await expect(fetched(model)).rejects.toThrow("run the widget's cell again");
  });

  it("is waited for while a kernel may send it", async () => {
    const asked: string[] = [];
    const model = modelWith({
      get_model: (id: string) => {
        asked.push(id);
        return Promise.resolve({ get: () => "" });
      },
    });
    const coming = fetched(model).catch((error) => String(error));
    await vi.advanceTimersByTimeAsync(1000);
    expect(asked).toEqual([]);
    model.kernel("_more", "IPY_MODEL_7");
    expect(await coming).toContain("not on this page");
    expect(asked).toEqual(["7"]);
    expect(model.listening).toBe(0);
  });

  it("is not waited for for ever", async () => {
    const model = modelWith({});
    const coming = fetched(model).catch((error) => String(error));
    await vi.advanceTimersByTimeAsync(20_000);
    expect(await coming).toContain("not on this page");
    expect(model.listening).toBe(0);
  });
});
