// Maps beside each other: their scales, how far they agree, and that in words.

import { limits } from "../draw/heatmap";
import type { Decoded } from "../protocol/safetensors";
import type {
  Compared,
  Comparison,
  ComparisonMaps,
  ModelInfo,
  StampMetadata,
} from "../protocol/schema";
import { methodName } from "./words";

export type CompareScale = "shared" | "own" | "rank";

/** A comparison with its maps. */
export interface Shown {
  comparison: Comparison;
  /** [item, row, col] */
  maps: Float32Array;
  rows: number;
  cols: number;
}

/** The comparison once its maps are there too: they come in a message of their own. */
export function shownOf(
  value: Partial<Comparison>,
  decoded: Decoded<ComparisonMaps, StampMetadata> | null,
): Shown | null {
  const tensor = decoded?.tensors.maps;
  const isCurrent = value.names && tensor && decoded.metadata.stamp === `${value.stamp}`;
  if (!isCurrent) return null;
  const [count = 0, rows = 0, cols = 0] = tensor.shape;
  const scale = decoded.tensors.scale?.data;
  const size = rows * cols;
  const maps = Float32Array.from({ length: count * size }, (_, i) => {
    return (tensor.data[i] ?? 0) * (scale ? (scale[Math.floor(i / size)] ?? 0) : 1);
  });
  return { comparison: value as Comparison, maps, rows, cols };
}

/** Whether values compare: methods and models have units of their own. */
export const oneUnit = (of: Compared) => of !== "methods" && of !== "models";

/** The scale in use: what has different units is shared only by rank. */
export function scaleOf(of: Compared, chosen: CompareScale | null): CompareScale {
  if (!oneUnit(of)) return chosen === "rank" ? "rank" : "own";
  return chosen ?? "shared";
}

export interface Scaled {
  values: Float32Array;
  /** Lowest and highest value of a map's colors. */
  range: (item: number) => [number, number];
}

/** Maps on a scale: as they are, or by rank. */
export function scaled({ maps, rows, cols }: Shown, scale: CompareScale): Scaled {
  const size = rows * cols;
  if (scale === "rank") return { values: ranked(maps, size), range: () => [0, 1] };
  const from0 = ([low, high]: [number, number]): [number, number] => [Math.min(0, low), high];
  if (scale === "own") {
    return { values: maps, range: (i) => from0(limits(maps, i * size, (i + 1) * size)) };
  }
  const all = from0(limits(maps));
  return { values: maps, range: () => all };
}

/** Each map's values by rank, 0 for the lowest and 1 for the highest; equal ones share a rank. */
export function ranked(maps: Float32Array, size: number): Float32Array {
  const ranks = new Float32Array(maps.length);
  for (let start = 0; start < maps.length; start += size) {
    const value = (i: number) => maps[start + i] ?? 0;
    const order = Array.from({ length: size }, (_, i) => i).sort((a, b) => value(a) - value(b));
    for (let first = 0; first < size; ) {
      let last = first;
      while (last + 1 < size && value(order[last + 1] ?? 0) === value(order[first] ?? 0)) last += 1;
      for (let i = first; i <= last; i++) {
        ranks[start + (order[i] ?? 0)] = (first + last) / 2 / Math.max(1, size - 1);
      }
      first = last + 1;
    }
  }
  return ranks;
}

/** Mean rank correlation of a map with the others; null where none is known. */
export function agreement({ correlation }: Comparison, item: number): number | null {
  const others = (correlation[item] ?? []).filter((r, i): r is number => i !== item && r !== null);
  return others.length > 0 ? others.reduce((a, b) => a + b, 0) / others.length : null;
}

/** "0.88", "−0.12"; "–" where it is not known. */
export function rho(value: number | null | undefined): string {
  if (value === null || value === undefined) return "–";
  const text = Math.abs(value).toFixed(2);
  return value < 0 && Number(text) > 0 ? `−${text}` : text;
}

/** A short sign for a map, which tells it in the table: a letter, or its own number. */
export function tag({ of, keys }: Comparison, item: number): string {
  return of === "layers" || of === "images"
    ? `${keys[item]}`
    : String.fromCharCode("A".charCodeAt(0) + item);
}

export function nameOf(info: ModelInfo, { of, names, keys }: Comparison, item: number): string {
  return of === "methods" ? methodName(info, `${keys[item]}`) : (names[item] ?? "");
}

/** What stands on how a map compares with the others, in words. */
export function says(info: ModelInfo, comparison: Comparison, item: number | null): string {
  const { correlation, keys } = comparison;
  const name = (i: number) => nameOf(info, comparison, i);
  const pairs = keys.flatMap((_, i) =>
    keys.flatMap((_, j) => {
      const r = correlation[i]?.[j];
      const wanted = item === null ? i < j : i === item && j !== i;
      return wanted && r !== null && r !== undefined ? [{ i, j, r }] : [];
    }),
  );
  pairs.sort((a, b) => b.r - a.r);
  const [most, least] = [pairs[0], pairs.at(-1)];
  if (keys.length < 2) return "One map alone: there is nothing to compare it with.";
  if (!most || !least) {
    return item === null
      ? "No two maps can be compared: they are the same everywhere."
      : `${name(item)} is the same everywhere, so it has no order to compare.`;
  }
  if (item === null) {
    if (comparison.of === "classes" && least.r > 0.99999) {
      return "All maps are the same: this method is class-agnostic.";
    }
    const best = `Most alike: ${name(most.i)} and ${name(most.j)} (${rho(most.r)}).`;
    if (pairs.length < 2) return best;
    return `${best} Least alike: ${name(least.i)} and ${name(least.j)} (${rho(least.r)}).`;
  }
  const least_ = pairs.length > 1 ? `, least like ${name(least.j)} (${rho(least.r)})` : "";
  return `${name(item)} is most like ${name(most.j)} (${rho(most.r)})${least_}.`;
}

const SCALES: Record<CompareScale, string> = {
  shared: "One scale for all maps: the same color is the same value.",
  own: "Each map on its own scale, up to its highest value: a weak map looks as strong as others.",
  rank: "One scale by rank: in each map, patches from its lowest (0) to its highest (1).",
};

export function scaleSays(of: Compared, scale: CompareScale): string {
  return !oneUnit(of) && scale === "own"
    ? `Each map on its own scale: the ${of}' units differ, so compare places, not values.`
    : SCALES[scale];
}

export function correlationSays(of: Compared): string {
  const means =
    "Spearman's rank correlation over the patches: 1 where two maps put them in the same order, " +
    "−1 in the opposite one, near 0 where they have nothing in common.";
  return of === "images"
    ? `${means} Between different images, a high one says that the map depends little on what is seen.`
    : `${means} It says whether maps agree, not which one is right.`;
}
