// All images of the set, as the kernel laid them out: their classes, and the colors of those.

import type { ModelInfo, Overview } from "../protocol/schema";
import { headCount } from "./heads";
import { className, counted, many, number, percent } from "./words";

/** As many classes have a color of their own; more could not be told apart. */
export const COLOURS = 10;

export function overviewOf(value: Overview | Record<string, never>): Overview | null {
  return "total" in value ? (value as Overview) : null;
}

/** The class of each image: its label, or else what the model gives it; -1 while not known. */
export function classesOf({ labels, predicted, total }: Overview): number[] {
  return Array.from({ length: total }, (_, i) => labels?.[i] ?? predicted[i] ?? -1);
}

export interface Group {
  /** The class. */
  index: number;
  /** Its images. */
  count: number;
}

/**
 * The classes that have a color, in its order: those of most images. Where there are more classes
 * than colors, one that has a single image has none: it is near no other of its kind.
 */
export function groupsOf(classes: readonly number[]): Group[] {
  const counts = new Map<number, number>();
  for (const index of classes) if (index >= 0) counts.set(index, (counts.get(index) ?? 0) + 1);
  const few = counts.size <= COLOURS;
  return [...counts]
    .map(([index, count]) => ({ index, count }))
    .filter(({ count }) => few || count > 1)
    .sort((a, b) => b.count - a.count || a.index - b.index)
    .slice(0, COLOURS)
    .sort((a, b) => a.index - b.index); // so that counts that change do not change colors
}

/** Which color each image has; -1 is gray. */
export function colorsOf(classes: readonly number[], groups: readonly Group[]): number[] {
  const slots = new Map(groups.map(({ index }, slot) => [index, slot]));
  return classes.map((index) => slots.get(index) ?? -1);
}

/** Whether the model gives an image another class than its label. */
export function isWrong({ labels, predicted }: Overview, image: number): boolean {
  const label = labels?.[image];
  const decided = predicted[image];
  return label !== undefined && decided !== undefined && label !== decided;
}

/** "image 12", and its file name where it has one. */
export function imageName(overview: Overview, image: number): string {
  const name = overview.names[image];
  return name ? `image ${image}, ${name}` : `image ${image}`;
}

/** What an image is and what the model makes of it, in a person's words. */
export function verdict(info: ModelInfo, overview: Overview, image: number): string {
  const label = overview.labels?.[image];
  const decided = overview.predicted[image];
  if (decided === undefined) return label === undefined ? "" : className(info, label);
  const value = overview.probability[image] ?? 0;
  const sure =
    info.output === "value"
      ? `${className(info, decided)} ${number(value)}`
      : `${className(info, decided)}, ${percent(value)}`;
  if (label === undefined) return `the model says ${sure}`;
  if (label === decided) return `${sure}, as labeled`;
  return `${className(info, label)}, but the model says ${sure}`;
}

export type Metric = "probability" | "taylor";

/** What laying out costs, in words. */
export function cost(info: ModelInfo, total: number, metric: Metric): string {
  const heads = headCount(info.num_heads);
  const images = counted(total, "image", "one");
  return metric === "taylor"
    ? `Runs the model once forwards and once back for each of ${images}.`
    : `Removes each of ${heads} heads for each of ${images}: ` +
        `${many(heads * total)} runs through part of the model.`;
}

const LAYOUTS: Record<string, string> = {
  "t-SNE": "Near each other (t-SNE) where the same heads matter; directions mean nothing.",
  "principal components": "Near each other (two principal components) where the same heads matter.",
  "in order": "In order: no head tells these images apart.",
};

/** What the picture shows now. */
export function says(overview: Overview): string {
  if (overview.measuring) return `Measured: ${overview.done} of ${overview.total} images.`;
  if (!overview.metric)
    return "Now in order. Once laid out, images for which the same heads matter are near each other.";
  return LAYOUTS[overview.layout] ?? "";
}
