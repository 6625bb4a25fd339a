import { expect, it } from "vitest";
import { cheapest } from "../../src/live/head_order";
import type { Variant } from "../../src/live/network";
import type { LiveSession } from "../../src/live/session";
import type { Head } from "../../src/protocol/schema";

/** By picture, what each head adds to the logit of the first class. */
const ADDS = [
  { "0,0": 1, "0,1": 3, "1,0": 2 },
  { "0,0": 1, "0,1": 0, "1,0": 2 },
];

const session = {
  scenes: {
    pixels: new DataView(Uint8Array.of(0, 0, 0, 255, 255, 255).buffer),
    names: ["black", "white"],
    labels: [0, 1],
    side: 1,
    mean: 0,
    deviation: 1,
  },
  network: {
    outcomes: async (variants: Variant[]) =>
      variants.map(({ input, masked }) => {
        const adds = Object.entries(ADDS[input[0] === 0 ? 0 : 1] ?? {});
        const left = adds.filter(([head]) => !masked.some((gone) => `${gone}` === head));
        const logit = left.reduce((sum, [, each]) => sum + each, 0);
        return { logits: Float32Array.of(logit, 0), class_tokens: new Float32Array() };
      }),
  },
} as unknown as LiveSession;

/** The probability that the scenes lose, in Python's words: before less after, summed. */
function costs(removed: Head[], left: Head[]): number[] {
  const p = (picture: number, masked: Head[]) => {
    const adds = Object.entries(ADDS[picture] ?? {});
    const kept = adds.filter(([head]) => !masked.map(String).includes(head));
    const first = 1 / (1 + Math.exp(-kept.reduce((sum, [, each]) => sum + each, 0)));
    return picture === 0 ? first : 1 - first;
  };
  return left.map((head) =>
    [0, 1].reduce((sum, i) => sum + p(i, removed) - p(i, [...removed, head]), 0),
  );
}

it.each([
  [
    [],
    [
      [0, 0],
      [0, 1],
      [1, 0],
    ],
  ],
  [
    [[1, 0]],
    [
      [0, 0],
      [0, 1],
    ],
  ],
] as [Head[], Head[]][])("without %j the cheapest head goes next", async (removed, left) => {
  const expected = costs(removed, left);
  const told: number[] = [];
  const head = await cheapest(session, removed, left, (fraction) => told.push(fraction));
  expect(head).toEqual(left[expected.indexOf(Math.min(...expected))]);
  expect(told).toEqual([0, 0.5]);
});
