// How faithful maps are: what the kernel measured, and that in words.

import type { Areas, ComparedScores, Faithfulness, MapScores } from "../protocol/schema";
import type { Traits } from "../protocol/traits";
import type { Shown } from "./comparison";

export const CURVES = ["insertion", "deletion"] as const;

export const CURVE_HINTS = {
  insertion: "Patches are shown one after another, the map's highest first: high is good.",
  deletion: "Patches are hidden one after another, the map's highest first: low is good.",
} as const;

/** The scores of the map that is shown now, if that is what was scored. */
export function scoresShown(
  traits: {
    [K in "faithfulness" | "method" | "selected_layer" | "_version"]: { value: Traits[K] };
  },
): MapScores | null {
  const scores = traits.faithfulness.value.map;
  const fits =
    scores &&
    scores.method === traits.method.value &&
    scores.layer === traits.selected_layer.value &&
    scores.version === traits._version.value;
  return fits ? scores : null;
}

/** The scores of each compared map, if they belong to the comparison that is shown. */
export function scoresOf({ comparison }: Shown, { compared }: Faithfulness): ComparedScores | null {
  return compared && compared.stamp === comparison.stamp ? compared : null;
}

/** Whether a map is ahead of all that knows nothing of the model, by each curve. */
function ahead(areas: Record<string, Areas>): [boolean, boolean] {
  const map = areas.map ?? [0, 1];
  const others = Object.entries(areas).flatMap(([name, pair]) => (name === "map" ? [] : [pair]));
  return [others.every((o) => map[0] > o[0]), others.every((o) => map[1] < o[1])];
}

export function verdict(areas: Record<string, Areas>): string {
  const [shown, hidden] = ahead(areas);
  const others = "the center of the picture and a random map";
  if (shown && hidden) return `By both curves this map is ahead of ${others}.`;
  if (shown) return `This map is ahead of ${others} when patches are shown, not when hidden.`;
  if (hidden) return `This map is ahead of ${others} when patches are hidden, not when shown.`;
  return `By neither curve is this map ahead of both ${others}: do not lean on it.`;
}

/** How far a map is ahead of the center of the picture, for the same class, by a curve. */
export function lead(areas: Record<string, Areas> | null | undefined, curve: number): number {
  const [map, center] = [areas?.map?.[curve], areas?.center?.[curve]];
  if (map === undefined || center === undefined) return Number.NEGATIVE_INFINITY;
  return curve === 0 ? map - center : center - map;
}

/** Which compared map is furthest ahead of the center by each curve; -1 while none is known. */
export function best({ areas }: ComparedScores): number[] {
  return CURVES.map((_, curve) => {
    const leads = areas.map((each) => lead(each, curve));
    const most = Math.max(...leads);
    return Number.isFinite(most) ? leads.indexOf(most) : -1;
  });
}

export const score = (value: number | undefined): string =>
  value === undefined ? "–" : value.toFixed(2).replace("-", "−");
