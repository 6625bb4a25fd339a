// What the kernel's binary traits hold, by name.

import type { Decoded } from "../wire/safetensors";
import type { Direction } from "./traits";

/** Maps of a method, [layer, row, col] flat, not normalised; `name.before` while heads are pruned. */
export type Maps = Record<string, Float32Array>;

export interface Importance {
  /** [layer, head] flat; NaN where not known yet or no such head. */
  values: Float32Array;
  /** Heads of the widest layer. */
  heads: number;
  metric: string;
  exact: boolean;
  baseline: number;
}

/** Attention of one token in every head: value = bytes / 255 * scale. */
export interface Rows {
  token: number;
  direction: Direction;
  /** [layer, head, token] flat. */
  bytes: Uint8Array;
  /** [layer, head] flat. */
  scale: Float32Array;
  heads: number;
  tokens: number;
}

export function mapsOf(decoded: Decoded | null): Maps {
  const maps: Maps = {};
  for (const [name, tensor] of Object.entries(decoded?.tensors ?? {})) {
    maps[name] = tensor.data as Float32Array;
  }
  return maps;
}

export function importanceOf(decoded: Decoded | null): Importance | null {
  const tensor = decoded?.tensors.importance;
  if (!decoded || !tensor) return null;
  return {
    values: tensor.data as Float32Array,
    heads: tensor.shape[1] ?? 0,
    metric: decoded.metadata.metric ?? "",
    exact: decoded.metadata.exact === "true",
    baseline: Number(decoded.metadata.baseline ?? Number.NaN),
  };
}

export function rowsOf(decoded: Decoded | null): Rows | null {
  const rows = decoded?.tensors.rows;
  const scale = decoded?.tensors.scale;
  if (!decoded || !rows || !scale) return null;
  return {
    token: Number(decoded.metadata.token),
    direction: decoded.metadata.direction as Direction,
    bytes: rows.data as Uint8Array,
    scale: scale.data as Float32Array,
    heads: rows.shape[1] ?? 0,
    tokens: rows.shape[2] ?? 0,
  };
}
