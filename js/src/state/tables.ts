// Numbers as tables, for the way out of the notebook.

import { csv } from "../draw/figures";
import type { Heatmap } from "../draw/heatmap";
import type { Curve, Decision, ModelInfo, Overview, PartialPruning } from "../protocol/schema";
import { headsInOrder } from "./heads";
import type { Matrix } from "./matrix";
import { imageName } from "./overview";
import { type Importance, importanceAt } from "./results";
import { className, now, number } from "./words";

type Column = (layer: number, head: number, index: number) => number | string;

/** A row a head, with columns by name. */
export function headTable(info: ModelInfo, columns: Record<string, Column>): string {
  const rows = headsInOrder(info.num_heads).map(([layer, head], index) => [
    layer,
    head,
    ...Object.values(columns).map((column) => column(layer, head, index)),
  ]);
  return csv(["layer", "head", ...Object.keys(columns)], rows);
}

export function importanceTable(info: ModelInfo, importance: Importance | null): string {
  const value: Column = (layer, head) => importanceAt(importance, layer, head);
  return headTable(info, { [importance?.metric ?? "importance"]: value });
}

export function curveTable(curves: Record<string, Curve>): string {
  const rows = Object.entries(curves).flatMap(([order, curve]) =>
    curve.values.map((value, removed) => {
      const [layer, head] = curve.order[removed - 1] ?? ["", ""];
      return [order, removed, layer, head, value];
    }),
  );
  const metric = Object.values(curves)[0]?.metric ?? "value";
  return csv(["order", "removed", "layer", "head", metric], rows);
}

/** What is left of the decision without each part of one head's attention. */
export function partsTable({ layer, head, rows }: PartialPruning): string {
  const cells = rows.map((row) => [
    layer,
    head,
    row.mode,
    row.probability,
    row.top5.map(([name, value]) => `${name} ${number(value)}`).join("; "),
  ]);
  return csv(["layer", "head", "zeroed", "left", "largest"], cells);
}

/** Maps by name, one after the other, a patch a row. */
export function mapTable(maps: readonly (readonly [name: string | number, map: Heatmap | null])[]) {
  const rows = maps.flatMap(([name, map]) =>
    Array.from({ length: map ? map.rows * map.cols : 0 }, (_, i) => {
      const { values, offset, cols } = map as Heatmap;
      return [name, Math.floor(i / cols), i % cols, values[offset + i] ?? Number.NaN];
    }),
  );
  return csv(["map", "row", "column", "value"], rows);
}

export function decisionTable({ rows }: Decision): string {
  const cells = rows.map((row) => [row.index, row.name, now(row), row.before]);
  return csv(["class", "name", "now", "before"], cells);
}

/** Rows are queries, columns are keys. */
export function matrixTable({ values, tokens }: Matrix): string {
  const all = Array.from({ length: tokens }, (_, token) => token);
  const rows = all.map((query) => [
    query,
    ...values.subarray(query * tokens, (query + 1) * tokens),
  ]);
  return csv(["query", ...all.map(String)], rows);
}

export function imageTable(info: ModelInfo, overview: Overview): string {
  const name = (index: number | null = -1) =>
    index === null || index < 0 ? "" : className(info, index);
  const rows = Array.from({ length: overview.total }, (_, image) => [
    image,
    imageName(overview, image),
    name(overview.labels?.[image]),
    name(overview.predicted[image]),
  ]);
  return csv(["image", "file", "label", "predicted"], rows);
}
