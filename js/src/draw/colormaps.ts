// Anchors of perceptually uniform color maps (matplotlib's viridis, cividis and magma, CC0; the
// diverging one runs from blue over neutral to orange), evenly spaced and interpolated to 256 colors.

import type { Colormap } from "../protocol/schema";

const ANCHORS: Record<Colormap | "diverging", string> = {
  viridis:
    "44015448186a472d7b4240863b528b33638d2c728e26828e21918c1fa08828ae803fbc735ec96284d44baddc30d8e219fde725",
  cividis:
    "00224e002e6a1a386f32436d434e6c535a6d61656f6f70737d7c788c88789b9476aba072bcae6ccdbb63dec958f0d846fee838",
  magma:
    "0000040a08221d114736106b51127c6a1c818326819c2e7fb73779d0416fe75263f56b5cfc8961fea772fec488fde2a3fcfdbf",
  diverging: "1f5fb44b87ce8db4e4c9d9ececececf3d3b5efad75dd7d35b8500b",
};

const TABLES = new Map<string, Uint8ClampedArray>();

/** 256 colors as [r, g, b, r, g, b, ...]. */
export function colormap(name: Colormap | "diverging"): Uint8ClampedArray {
  const kept = TABLES.get(name);
  if (kept) return kept;
  const anchors = (ANCHORS[name].match(/../g) ?? []).map((pair) => Number.parseInt(pair, 16));
  const count = anchors.length / 3;
  const table = new Uint8ClampedArray(256 * 3);
  for (let i = 0; i < 256; i++) {
    const place = (i / 255) * (count - 1);
    const left = Math.min(Math.floor(place), count - 2);
    for (let c = 0; c < 3; c++) {
      const a = anchors[left * 3 + c] ?? 0;
      const b = anchors[(left + 1) * 3 + c] ?? 0;
      table[i * 3 + c] = a + (b - a) * (place - left);
    }
  }
  TABLES.set(name, table);
  return table;
}

/** A CSS color of the map at a share of 0 to 1. */
export function colorAt(name: Colormap | "diverging", share: number): string {
  const table = colormap(name);
  const i = Math.round(Math.min(1, Math.max(0, share)) * 255) * 3;
  return `rgb(${table[i]}, ${table[i + 1]}, ${table[i + 2]})`;
}

/** A CSS gradient from the map's lowest to its highest color. */
export function gradient(name: Colormap | "diverging", direction = "to right"): string {
  const stops = Array.from({ length: 17 }, (_, i) => colorAt(name, i / 16));
  return `linear-gradient(${direction}, ${stops.join(", ")})`;
}
