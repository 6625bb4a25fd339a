// Paints maps of a few hundred values: one ImageData at the size of the grid, scaled by the canvas.

import type { Colormap, Interpolation } from "../protocol/schema";
import { colormap } from "./colormaps";

/** A map among values, and the limits of its colours. */
export interface Heatmap {
  values: Float32Array;
  /** Where it starts in them. */
  offset: number;
  rows: number;
  cols: number;
  low: number;
  high: number;
}

export interface Box {
  x: number;
  y: number;
  width: number;
  height: number;
}

export interface MapStyle {
  colormap: Colormap | "diverging";
  interpolation: Interpolation;
  /** Opacity of the map, 0 to 1. */
  opacity: number;
  /** Let low values show what is below: a map over a picture. */
  see_through?: boolean;
}

/** Writes a map as RGBA into `pixels`, one pixel a value. */
function colour(
  { values, offset, rows, cols, low, high }: Heatmap,
  style: MapStyle,
  pixels: Uint8ClampedArray,
): void {
  const table = colormap(style.colormap);
  const factor = high > low ? 255 / (high - low) : 0;
  for (let i = 0; i < rows * cols; i++) {
    const level = ((values[offset + i] ?? 0) - low) * factor;
    const entry = Math.max(0, Math.min(255, Math.round(level))) * 3;
    pixels[i * 4] = table[entry] ?? 0;
    pixels[i * 4 + 1] = table[entry + 1] ?? 0;
    pixels[i * 4 + 2] = table[entry + 2] ?? 0;
    pixels[i * 4 + 3] = style.see_through ? Math.min(255, level * 1.6) : 255;
  }
}

/** The map in means of so many values a side; itself where it is no smaller than its picture. */
function shrunk(map: Heatmap, by: number): Heatmap {
  if (by < 2) return map;
  const [rows, cols] = [Math.ceil(map.rows / by), Math.ceil(map.cols / by)];
  const values = new Float32Array(rows * cols);
  for (let row = 0; row < map.rows; row++) {
    const height = Math.min(by, map.rows - row + (row % by));
    for (let col = 0; col < map.cols; col++) {
      const width = Math.min(by, map.cols - col + (col % by));
      const to = Math.floor(row / by) * cols + Math.floor(col / by);
      const value = map.values[map.offset + row * map.cols + col] ?? 0;
      values[to] = (values[to] ?? 0) + value / (width * height);
    }
  }
  return { ...map, values, offset: 0, rows, cols };
}

const scratch = new Map<string, { canvas: HTMLCanvasElement; image: ImageData }>();

function scratchOf(rows: number, cols: number) {
  const key = `${rows}x${cols}`;
  const known = scratch.get(key);
  if (known) return known;
  const canvas = document.createElement("canvas");
  canvas.width = cols;
  canvas.height = rows;
  const drawing = { canvas, image: new ImageData(cols, rows) };
  scratch.set(key, drawing);
  return drawing;
}

/**
 * Widest map that is enlarged linearly: cubic smoothing shows only in larger ones, and without a GPU
 * it doubles the time from a click to the painted heads.
 */
const THUMBNAIL = 128;

/** Paints one map into a rectangle of a canvas, over what is there. */
export function paintMap(
  context: CanvasRenderingContext2D,
  whole: Heatmap,
  style: MapStyle,
  box: Box,
): void {
  const pixels = box.width * (globalThis.devicePixelRatio || 1);
  const map = shrunk(whole, Math.floor(whole.cols / pixels));
  const { canvas, image } = scratchOf(map.rows, map.cols);
  colour(map, style, image.data);
  canvas.getContext("2d")?.putImageData(image, 0, 0);
  context.save();
  if (style.see_through) {
    // A paler picture, as light as before, lets the map's colours speak.
    context.globalCompositeOperation = "saturation";
    context.globalAlpha = 0.75 * Math.min(1, style.opacity * 2);
    context.fillStyle = "gray";
    context.fillRect(box.x, box.y, box.width, box.height);
    context.globalCompositeOperation = "source-over";
  }
  context.globalAlpha = style.opacity;
  context.imageSmoothingEnabled = style.interpolation === "bilinear";
  const simple = box.width <= THUMBNAIL && box.width >= map.cols / 2;
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
