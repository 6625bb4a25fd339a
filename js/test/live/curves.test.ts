import { expect, it, vi } from "vitest";
import { drawing } from "../../src/live/curves";
import type { Steps } from "../../src/live/turn";
import type { Curve, Head } from "../../src/protocol/schema";

const HEADS: Head[] = [
  [0, 1],
  [1, 0],
  [0, 0],
  [1, 1],
];
const steps: Steps = () => () => undefined;

/** Draws in random order where the accuracy falls by a tenth with each head. */
async function drawn(keep: number | null) {
  const values = { curves: {} as Record<string, Curve> };
  const publish = vi.fn((traits: typeof values) => Object.assign(values, traits));
  const session = { size: { layers: 2, heads: 2 }, drawn: { heads: HEADS }, values, publish };
  const studies = { share: async (masked: Head[]) => 1 - masked.length / 10 };
  const prune = vi.fn();
  await drawing(session as never, studies as never, "random", keep, prune).run(steps);
  const totals = publish.mock.calls.map(([{ curves }]) => curves.random?.total);
  return { curve: values.curves.random as Curve, prune, totals };
}

it("draws a curve over all heads, which is not finished before", async () => {
  const { curve, prune, totals } = await drawn(null);
  expect(curve.order).toEqual(HEADS);
  expect(curve.values).toHaveLength(5);
  expect(new Set(totals)).toEqual(new Set([4]));
  expect(prune).not.toHaveBeenCalled();
});

it("ends where the accuracy fell too far, prunes as many as may go, and is finished", async () => {
  const { curve, prune, totals } = await drawn(0.85);
  expect(prune).toHaveBeenCalledExactlyOnceWith(HEADS.slice(0, 1));
  expect(curve.order).toEqual(HEADS.slice(0, 2));
  expect(totals).toEqual([4, 4, 4, 2]);
});
