// Numbers as tables, for the way out of the notebook.

import { csv } from "../draw/figures";
import type { Curve, ModelInfo } from "../protocol/schema";
import { headsInOrder } from "./heads";
import { type Importance, importanceAt } from "./results";

export function importanceTable(info: ModelInfo, importance: Importance | null): string {
  const rows = headsInOrder(info.num_heads).map(([layer, head]) => [
    layer,
    head,
    importanceAt(importance, layer, head),
  ]);
  return csv(["layer", "head", importance?.metric ?? "importance"], rows);
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
