// Attention of every head as a small vector of fixed size, as in
// `vit_attention_widget/patterns/pooled_heads.py`.

import { at, total } from "../numbers";
import type { Trace } from "../trace";

export type FamilyName = "patches" | "class";

/** Patches are pooled to so many cells by as many. */
export const GRID: Record<FamilyName, number> = { patches: 7, class: 14 };

/** Vectors of all heads, layer by layer: square roots of pooled attention, 0 to 1. */
export function pooled(trace: Trace, family: FamilyName): Float32Array[] {
  const { layers, heads, tokens, rows, cols } = trace.size;
  const shares = cellShares(rows, cols, GRID[family]);
  const pool = family === "patches" ? amongPatches : ofClassToken;
  return Array.from({ length: layers * heads }, (_, i) => {
    const attention = trace.attention(Math.floor(i / heads));
    const start = (i % heads) * tokens * tokens;
    return pool(attention.subarray(start, start + tokens * tokens), tokens, shares);
  });
}

/** [query cell, key cell]. */
function amongPatches(attention: Float32Array, tokens: number, shares: Float64Array[]) {
  const cells = shares[0]?.length ?? 0;
  const sums = sumsOf(shares);
  const values = new Float64Array(cells * cells);
  for (let query = 1; query < tokens; query++) {
    const row = attention.subarray(query * tokens + 1, (query + 1) * tokens);
    const byCell = spread(row, shares);
    (shares[query - 1] as Float64Array).forEach((share, cell) => {
      if (share === 0) return;
      const mean = share / at(sums, cell);
      for (let key = 0; key < cells; key++) {
        values[cell * cells + key] = at(values, cell * cells + key) + mean * at(byCell, key);
      }
    });
  }
  return Float32Array.from(values, (each) => Math.sqrt(Math.min(1, each)));
}

/** What the class token attends to, what attends to it, and itself. */
function ofClassToken(attention: Float32Array, tokens: number, shares: Float64Array[]) {
  const cells = shares[0]?.length ?? 0;
  const sums = sumsOf(shares);
  const column = Float32Array.from({ length: tokens - 1 }, (_, patch) =>
    at(attention, (patch + 1) * tokens),
  );
  const to = spread(attention.subarray(1, tokens), shares);
  const by = spread(column, shares).map((each, cell) => each / at(sums, cell) / cells);
  return Float32Array.from([...to, ...by, at(attention, 0)], Math.sqrt);
}

/** Values of patches, shared out among the cells. */
function spread(values: Float32Array, shares: Float64Array[]): Float64Array {
  const byCell = new Float64Array(shares[0]?.length ?? 0);
  shares.forEach((share, patch) => {
    for (let cell = 0; cell < byCell.length; cell++) {
      byCell[cell] = at(byCell, cell) + at(values, patch) * at(share, cell);
    }
  });
  return byCell;
}

const sumsOf = (shares: Float64Array[]) =>
  Float64Array.from({ length: shares[0]?.length ?? 0 }, (_, cell) =>
    total(shares.map((share) => at(share, cell))),
  );

/** Share of each patch that lies in each cell, [patch][cell]. */
export function cellShares(rows: number, cols: number, grid: number): Float64Array[] {
  const [down, across] = [overlap(rows, grid), overlap(cols, grid)];
  return down.flatMap((inRow) =>
    across.map((inCol) => Float64Array.from(inRow.flatMap((row) => inCol.map((col) => row * col)))),
  );
}

function overlap(patches: number, cells: number): number[][] {
  return Array.from({ length: patches }, (_, patch) =>
    Array.from({ length: cells }, (_, cell) => {
      const low = Math.max(patch / patches, cell / cells);
      const high = Math.min((patch + 1) / patches, (cell + 1) / cells);
      return Math.max(0, high - low) * patches;
    }),
  );
}
