// Paints maps of a few hundred values: one ImageData at the size of the grid, scaled by the canvas.

import type { Colormap, Interpolation } from "../protocol/schema";
import { colormap } from "./colormaps";

/** A map among values, and the limits of its colors. */
export interface Heatmap {
  values: Float32Array;
  /** Where it starts in them. */
  offset: number;
  rows: number;
  cols: number;
  low: number;
  high: number;
  /** Where it lies on the picture, if not where the patches of the model that is shown do. */
  area?: readonly number[];
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

/** Writes a map as RGBA into a picture `width` wide, one pixel a value, from pixel `start` on. */
function color(
  { values, offset, rows, cols, low, high }: Heatmap,
  style: Pick<MapStyle, "colormap" | "see_through">,
  pixels: Uint8ClampedArray,
  width = cols,
  start = 0,
): void {
  const table = colormap(style.colormap);
  const factor = high > low ? 255 / (high - low) : 0;
  for (let i = 0; i < rows * cols; i++) {
    const level = ((values[offset + i] ?? 0) - low) * factor;
    const entry = Math.max(0, Math.min(255, Math.round(level))) * 3;
    const to = (start + Math.floor(i / cols) * width + (i % cols)) * 4;
    pixels[to] = table[entry] ?? 0;
    pixels[to + 1] = table[entry + 1] ?? 0;
    pixels[to + 2] = table[entry + 2] ?? 0;
    pixels[to + 3] = style.see_through ? Math.min(255, level * 1.6) : 255;
  }
}

/** The map in means where it is larger than its picture, which is so many units wide. */
function shrunk(map: Heatmap, boxWidth: number): Heatmap {
  const by = Math.floor(map.cols / (boxWidth * (globalThis.devicePixelRatio || 1)));
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
  const kept = scratch.get(key);
  if (kept) return kept;
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
  const map = shrunk(whole, box.width);
  const { canvas, image } = scratchOf(map.rows, map.cols);
  color(map, style, image.data);
  canvas.getContext("2d")?.putImageData(image, 0, 0);
  context.save();
  if (style.see_through) {
    // A paler picture, as light as before, lets the map's colors speak.
    context.globalCompositeOperation = "saturation";
    context.globalAlpha = 0.75 * Math.min(1, style.opacity * 2);
    context.fillStyle = "gray";
    context.fillRect(box.x, box.y, box.width, box.height);
    context.globalCompositeOperation = "source-over";
  }
  context.globalAlpha = style.opacity;
  smooth(context, style.interpolation, map.cols, box.width);
  context.drawImage(canvas, box.x, box.y, box.width, box.height);
  context.restore();
}

function smooth(
  context: CanvasRenderingContext2D,
  interpolation: Interpolation,
  cols: number,
  width: number,
): void {
  context.imageSmoothingEnabled = interpolation === "bilinear";
  const simple = width <= THUMBNAIL && width >= cols / 2;
  context.imageSmoothingQuality = simple ? "low" : "high";
}

/** Repeats the edge of a map around it, so that none is smoothed into its neighbor. */
function extend(
  pixels: Uint32Array,
  width: number,
  start: number,
  rows: number,
  cols: number,
): void {
  for (let row = start; row < start + rows * width; row += width) {
    pixels[row - 1] = pixels[row] ?? 0;
    pixels[row + cols] = pixels[row + cols - 1] ?? 0;
  }
  const last = start + (rows - 1) * width;
  pixels.copyWithin(start - width - 1, start - 1, start + cols + 1);
  pixels.copyWithin(last + width - 1, last - 1, last + cols + 1);
}

/**
 * Paints many maps of one size into boxes of one size. They are written into one picture, from which
 * each is enlarged: where each had a picture of its own, that would be copied each time.
 */
export function paintMaps(
  context: CanvasRenderingContext2D,
  maps: readonly { map: Heatmap; box: Box; opacity: number }[],
  style: Pick<MapStyle, "colormap" | "interpolation">,
): void {
  const first = maps[0];
  if (!first) return;
  const { rows, cols } = shrunk(first.map, first.box.width);
  const across = Math.ceil(Math.sqrt(maps.length));
  const width = across * (cols + 2);
  const { canvas, image } = scratchOf(Math.ceil(maps.length / across) * (rows + 2), width);
  const place = (i: number) =>
    [(i % across) * (cols + 2) + 1, Math.floor(i / across) * (rows + 2) + 1] as const;
  maps.forEach(({ map, box }, i) => {
    const [left, top] = place(i);
    color(shrunk(map, box.width), style, image.data, width, top * width + left);
    extend(new Uint32Array(image.data.buffer), width, top * width + left, rows, cols);
  });
  canvas.getContext("2d")?.putImageData(image, 0, 0);
  context.save();
  smooth(context, style.interpolation, cols, first.box.width);
  maps.forEach(({ box, opacity }, i) => {
    const [left, top] = place(i);
    context.globalAlpha = opacity;
    context.drawImage(canvas, left, top, cols, rows, box.x, box.y, box.width, box.height);
  });
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
