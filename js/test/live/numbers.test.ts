// Pure parts of the live page, held against what Python computes: `tests/live_fixtures.py`.

import { describe, expect, it } from "vitest";
import { rankCorrelation } from "../../src/live/correlation";
import { headsWithin } from "../../src/live/head_order";
import { blurred, inOrder, withHidden } from "../../src/live/hidden_patches";
import { area, center } from "../../src/live/insertion_deletion";
import { decoded, encoded, erf, type Weights } from "../../src/live/patterns/autoencoder";
import { placed } from "../../src/live/patterns/place";
import { cellShares } from "../../src/live/patterns/pooled";
import { PILOT_PLACES, placesAndShares } from "../../src/live/places_on_the_way";
import { quantized } from "../../src/live/tensors";
import python from "../fixtures/live.json";

function expectClose(actual: ArrayLike<number>, expected: ArrayLike<number>, within = 1e-6) {
  expect(actual.length).toBe(expected.length);
  Array.from(actual).forEach((each, i) => {
    expect(Math.abs(each - (expected[i] as number)), `at ${i}`).toBeLessThan(within);
  });
}

describe("places on the way to a picture", () => {
  it("are looked at where Python looks", () => {
    expectClose(PILOT_PLACES, python.places.pilot);
  });
  it.each(python.places.cases)("are close where the target changes", (given) => {
    const places = placesAndShares(given.scores);
    expectClose(
      places.map(({ place }) => place),
      given.places,
    );
    expectClose(
      places.map(({ share }) => share),
      given.shares,
    );
  });
});

describe("hidden patches", () => {
  it("come in the map's order, those of equal value as they were shuffled", () => {
    expect(inOrder(python.order.map, python.order.shuffled)).toEqual(python.order.order);
  });
  it("lie behind a blur that the picture's edge extends", () => {
    const picture = Float32Array.from(python.blur.picture);
    expectClose(blurred(picture, python.blur.sigma), python.blur.blurred);
  });
  it("are hidden in all channels, and no others are", () => {
    const input = new Float32Array(3 * 16).fill(1);
    const hidden = withHidden(input, [1], new Float32Array(3 * 16), { rows: 2, cols: 2 });
    const row = [1, 1, 0, 0];
    const plain = [1, 1, 1, 1];
    const channel = [...row, ...row, ...plain, ...plain];
    expect([...hidden]).toEqual([...channel, ...channel, ...channel]);
    expect(input.every((each) => each === 1)).toBe(true);
  });
  it("are scored by the mean height of a curve", () => {
    expect(area([0, 0.5, 1])).toBeCloseTo(0.5);
    expect(area([1, 1, 1, 0])).toBeCloseTo(5 / 6);
  });
  it("are compared with a map that is highest, and symmetric, at the center", () => {
    const map = center(3, 3);
    expect(map[4]).toBe(1);
    expect(map[0]).toBe(map[8]);
    expect(map[1]).toBeCloseTo(Math.exp(-((1 / 3) ** 2) / (2 * 0.25 ** 2)));
  });
});

describe("patterns", () => {
  it("share patches out among cells", () => {
    const shares = cellShares(3, 4, 2);
    expectClose(
      shares.flatMap((each) => [...each]),
      python.cells.flat(),
    );
  });
  it("have the codes that Python gives them", () => {
    const { vector, code, decoded: back } = python.autoencoder;
    const weights = Object.fromEntries(
      Object.entries(python.autoencoder.weights).map(([name, { shape, data }]) => {
        return [name, { dtype: "F32", shape, data: Float32Array.from(data.flat()) }];
      }),
    ) as Weights;
    expectClose(encoded(weights, Float32Array.from(vector)), code, 1e-5);
    expectClose(decoded(weights, Float32Array.from(code)), back, 1e-5);
  });
  it("are placed between those most alike", () => {
    const { codes, points, nearest } = python.placed;
    const learned = {
      codes: Float32Array.from(codes),
      points: Float32Array.from(points),
      labels: Uint8Array.from({ length: 12 }, (_, i) => i),
    };
    python.placed.new.forEach((code, i) => {
      const { x, y, label } = placed(learned, code);
      expectClose([x, y], python.placed.places[i] as number[], 1e-5);
      expect(label).toBe(nearest[i]);
    });
  });
  it("know the error function", () => {
    expectClose([erf(0), erf(0.5), erf(-1), erf(3)], [0, 0.5204999, -0.8427008, 0.9999779]);
  });
});

describe("what the page sends", () => {
  it("has rows of bytes with a scale each", () => {
    const { rows, levels, scale } = python.quantized;
    const { data, scale: scales } = quantized(Float32Array.from(rows), 5);
    expect([...data]).toEqual(levels);
    expectClose(scales, scale);
  });
  it("correlates maps by their ranks, but none that is the same everywhere", () => {
    const { maps, expected } = python.correlation;
    rankCorrelation(maps).forEach((row, i) => {
      row.forEach((each, j) => {
        const wanted = expected[i]?.[j] ?? null;
        if (wanted === null) expect(each).toBeNull();
        else expect(each).toBeCloseTo(wanted, 3);
      });
    });
  });
  it.each(python.within as [number[], number, number | null][])(
    "says how many heads can go: %j within %f",
    (values, share, count) => expect(headsWithin(values, share)).toBe(count),
  );
});
