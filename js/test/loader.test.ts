import { describe, expect, it } from "vitest";
import loader from "../src/entry/loader";
import { FakeModel } from "./fake";

function hostOf(get_model: (() => Promise<unknown>) | undefined) {
  const model = new FakeModel({ _bundle: "IPY_MODEL_1" });
  Object.assign(model, { widget_manager: { kernel: null, get_model } });
  const el = document.createElement("div");
  return { model, el, signal: new AbortController().signal };
}

describe("the loader", () => {
  it.each([
    ["gives no models", undefined],
    ["does not know the code's model", () => Promise.reject(new Error("no such model"))],
    ["gives a model without code", () => Promise.resolve({ get: () => undefined })],
  ])("says what to do where the host %s", async (_, get_model) => {
    const host = hostOf(get_model);
    await loader.initialize(host);
    await loader.render(host);
    expect(host.el.textContent).toContain("run its cell again");
    expect(host.el.textContent).toContain("VAW_INLINE=1");
  });
});
