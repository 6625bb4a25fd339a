// Paints maps of a few hundred values: one ImageData at the size of the grid, scaled by the canvas.

import type { Colormap, Interpolation } from "../protocol/schema";
import { colormap } from "./colormaps";

export interface MapStyle {
  low: number;
  high: number;
  colormap: Colormap | "diverging";
  interpolation: Interpolation;
  /** Opacity of the map, 0 to 1. */
  opacity: number;
  /** Let low values show what is below: a map over a picture. */
  see_through?: boolean;
}

/** Writes values as RGBA into `pixels`, one pixel a value, starting at `offset` in `values`. */
export function colour(
  values: Float32Array,
  offset: number,
  count: number,
  style: Pick<MapStyle, "low" | "high" | "colormap" | "see_through">,
  pixels: Uint8ClampedArray,
): void {
  const table = colormap(style.colormap);
  const factor = style.high > style.low ? 255 / (style.high - style.low) : 0;
  for (let i = 0; i < count; i++) {
    const level = ((values[offset + i] ?? 0) - style.low) * factor;
    const at = Math.max(0, Math.min(255, Math.round(level))) * 3;
    pixels[i * 4] = table[at] ?? 0;
    pixels[i * 4 + 1] = table[at + 1] ?? 0;
    pixels[i * 4 + 2] = table[at + 2] ?? 0;
    pixels[i * 4 + 3] = style.see_through ? Math.min(255, 20 + level * 1.4) : 255;
  }
}

const scratch = new Map<string, { canvas: HTMLCanvasElement; image: ImageData }>();

function scratchOf(rows: number, cols: number) {
  const key = `${rows}x${cols}`;
  const known = scratch.get(key);
  if (known) return known;
  const canvas = document.createElement("canvas");
  canvas.width = cols;
  canvas.height = rows;
  const made = { canvas, image: new ImageData(cols, rows) };
  scratch.set(key, made);
  return made;
}

/**
 * Widest map that is enlarged linearly: cubic smoothing shows only in larger ones, and without a GPU
 * it doubles the time from a click to the painted heads.
 */
const THUMBNAIL = 128;

/** Paints one map into a rectangle of a canvas, over what is there. */
export function paintMap(
  context: CanvasRenderingContext2D,
  values: Float32Array,
  offset: number,
  rows: number,
  cols: number,
  style: MapStyle,
  box: { x: number; y: number; width: number; height: number },
): void {
  const { canvas, image } = scratchOf(rows, cols);
  colour(values, offset, rows * cols, style, image.data);
  canvas.getContext("2d")?.putImageData(image, 0, 0);
  context.save();
  if (style.see_through) {
    context.globalAlpha = 0.45 * style.opacity;
    context.fillStyle = "black"; // a darker picture lets the map's colours speak
    context.fillRect(box.x, box.y, box.width, box.height);
  }
  context.globalAlpha = style.opacity;
  context.imageSmoothingEnabled = style.interpolation === "bilinear";
  const simple = box.width <= THUMBNAIL && box.width >= cols;
  context.imageSmoothingQuality = simple ? "low" : "high";
  context.drawImage(canvas, box.x, box.y, box.width, box.height);
  context.restore();
}

/** Matches the canvas's pixels to its size on the screen; returns the context in CSS pixels. */
export function sharp(canvas: HTMLCanvasElement, width: number, height: number) {
  const ratio = globalThis.devicePixelRatio || 1;
  const w = Math.max(1, Math.round(width * ratio));
  const h = Math.max(1, Math.round(height * ratio));
  if (canvas.width !== w) canvas.width = w;
  if (canvas.height !== h) canvas.height = h;
  const context = canvas.getContext("2d");
  context?.setTransform(ratio, 0, 0, ratio, 0, 0);
  return context;
}

/** Lowest and highest finite value of a range, [0, 0] if there is none. */
export function limits(values: Float32Array, from = 0, to = values.length): [number, number] {
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  for (let i = from; i < to; i++) {
    const value = values[i] ?? Number.NaN;
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return low <= high ? [low, high] : [0, 0];
}
