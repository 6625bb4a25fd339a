// Heads are placed on the map of patterns for the picture that is shown by then.

import { expect, it, vi } from "vitest";
import { Patterns } from "../../src/live/patterns/study";
import { encode, floats } from "../../src/live/tensors";

const seen = vi.hoisted(() => ({ traces: [] as unknown[] }));

vi.mock("../../src/live/patterns/pooled", () => ({
  pooled: (trace: unknown) => {
    seen.traces.push(trace);
    return [];
  },
}));
vi.mock("../../src/page/encoding", () => ({
  read: async () => {
    const nothing = { codes: floats([0], []), points: floats([0], []), labels: floats([0], []) };
    const family = { map: encode({}), learned: encode(nothing) };
    return { patches: family, class: family };
  },
}));

it("places the heads of the picture that is shown once the map has come", async () => {
  let come = (_: unknown) => {};
  vi.stubGlobal(
    "fetch",
    () =>
      new Promise((resolve) => {
        come = resolve;
      }),
  );
  const session = { shown: "the picture before", ready: async () => session.shown };
  const placing = new Patterns(session as never, new URL("https://here")).place();
  session.shown = "this picture";
  come({ ok: true, text: async () => "" });
  await placing;
  expect(new Set(seen.traces)).toEqual(new Set(["this picture"]));
  vi.unstubAllGlobals();
});
