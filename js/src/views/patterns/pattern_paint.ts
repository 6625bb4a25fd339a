// Paints a map of patterns: how many heads of all images lie where, in gray, and this image's heads.

import { colorAt } from "../../draw/colormaps";
import type { Pictures } from "../../state/patterns";
import { projection, type Window } from "../../ui/use_zoom";

/** How many points lie in each pixel of a grid of `width` x `height`, spread over their neighbours. */
export function density(
  points: Float32Array,
  window: Window,
  width: number,
  height: number,
): Float32Array {
  const to = projection(window, width, height);
  const counts = new Float32Array(width * height);
  for (let i = 0; i < points.length; i += 2) {
    const x = Math.floor(to.x(points[i] ?? 0));
    const y = Math.floor(to.y(points[i + 1] ?? 0));
    if (x < 1 || y < 1 || x >= width - 1 || y >= height - 1) continue;
    const pixel = y * width + x;
    counts[pixel] = (counts[pixel] ?? 0) + 1;
    for (const step of [1, width]) {
      for (const beside of [pixel - step, pixel + step])
        counts[beside] = (counts[beside] ?? 0) + 0.5;
    }
    for (const step of [width - 1, width + 1]) {
      for (const beside of [pixel - step, pixel + step])
        counts[beside] = (counts[beside] ?? 0) + 0.25;
    }
  }
  return counts;
}

const scratch = document.createElement("canvas");

/** Densities as an ever stronger color, on a scale of logs: a few heads are seen beside many. */
export function paintDensity(
  context: CanvasRenderingContext2D,
  counts: Float32Array,
  width: number,
  height: number,
  grain: number,
  color: string,
): void {
  scratch.width = width;
  scratch.height = height;
  const inner = scratch.getContext("2d");
  if (!inner) return;
  const pixels = new ImageData(width, height);
  let most = 1;
  for (const count of counts) if (count > most) most = count;
  const strength = 150 / Math.log1p(most);
  for (let i = 0; i < counts.length; i++) {
    const count = counts[i] ?? 0;
    if (count > 0) pixels.data[4 * i + 3] = 40 + Math.log1p(count) * strength;
  }
  inner.putImageData(pixels, 0, 0);
  inner.globalCompositeOperation = "source-in"; // the color, where there is something
  inner.fillStyle = color;
  inner.fillRect(0, 0, width, height);
  context.drawImage(scratch, 0, 0, width * grain, height * grain);
}

/** The color of a layer: deeper ones lighter, and none as dark or light as a page may be. */
export function layerColor(layer: number, layers: number): string {
  return colorAt("viridis", layers < 2 ? 0.5 : 0.3 + (0.62 * layer) / (layers - 1));
}

/** One of some pictures as values, on the square root's scale: faint attention is seen too. */
export function patternAt({ bytes, height, width }: Pictures, index: number) {
  const size = height * width;
  const values = new Float32Array(size);
  for (let i = 0; i < size; i++) values[i] = Math.sqrt((bytes[index * size + i] ?? 0) / 255);
  return { values, rows: height, cols: width };
}
