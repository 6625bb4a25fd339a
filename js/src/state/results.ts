// What the kernel's binary traits hold, by name.

import type { Heatmap } from "../draw/heatmap";
import type { Decoded } from "../protocol/safetensors";
import type {
  AttentionRows,
  BaselineMetadata,
  Direction,
  ImportanceTables,
  MapsByMethod,
  ModelInfo,
  RowsMetadata,
} from "../protocol/schema";

/** Maps of a method, [layer, row, col] flat, not normalised; `name.before` while heads are pruned. */
export type Maps = Record<string, Float32Array>;

/** A map with what it is of. */
export interface NamedMap {
  name: string;
  map: Heatmap;
}

/** Importance of every head by one metric, [layer, head] flat. */
export interface Importance {
  metric: string;
  /** NaN where not known yet, no such head, or pruned. */
  values: Float32Array;
  /** The gradient's estimate, to be shown where the exact value is not known yet. */
  estimate: Float32Array | null;
  /** Heads of the widest layer. */
  heads: number;
  /** Probability of the class, or the value, with no further head removed. */
  baseline: number;
  /** Whether it is by how much a value falls: heads that move it most matter most, up or down. */
  ofValue: boolean;
}

/** Attention of one token in every head: value = bytes / 255 * scale. */
export interface Rows {
  token: number;
  direction: Direction;
  /** The first of the layers that follow. */
  firstLayer: number;
  layers: number;
  /** [layer, head, token] flat. */
  bytes: Uint8Array;
  /** [layer, head] flat. */
  scale: Float32Array;
  heads: number;
  tokens: number;
}

export function mapsOf(decoded: Decoded<MapsByMethod> | null): Maps {
  const maps: Maps = {};
  for (const [name, tensor] of Object.entries(decoded?.tensors ?? {})) {
    maps[name] = tensor.data;
  }
  return maps;
}

export function importanceOf(
  decoded: Decoded<ImportanceTables, BaselineMetadata> | null,
  metric: string,
  output: ModelInfo["output"] = "softmax",
): Importance | null {
  const tensor = decoded?.tensors[metric];
  if (!decoded || !tensor) return null;
  const estimate = metric === "taylor" ? undefined : decoded.tensors.taylor;
  return {
    metric,
    values: tensor.data,
    estimate: estimate?.data ?? null,
    heads: tensor.shape[1] ?? 0,
    baseline: Number(decoded.metadata.baseline),
    ofValue: output === "value" && metric === "probability",
  };
}

/** Importance of a head, NaN where it is not known. */
export function importanceAt(importance: Importance | null, layer: number, head: number): number {
  return importance?.values[layer * importance.heads + head] ?? Number.NaN;
}

/** How much a head matters, by which heads are ranked. */
export function weightOf({ ofValue }: Importance, value: number): number {
  return ofValue ? Math.abs(value) : value;
}

export function rowsOf(decoded: Decoded<AttentionRows, RowsMetadata> | null): Rows | null {
  if (!decoded) return null;
  const { rows, scale } = decoded.tensors;
  return {
    token: Number(decoded.metadata.token),
    direction: decoded.metadata.direction as Direction,
    firstLayer: Number(decoded.metadata.first_layer ?? 0),
    layers: rows.shape[0] ?? 0,
    bytes: rows.data,
    scale: scale.data,
    heads: rows.shape[1] ?? 0,
    tokens: rows.shape[2] ?? 0,
  };
}
