// Small pictures that come many in one tensor, [image, row, col, 3].

import type { Tensor } from "../protocol/safetensors";

/** The pixels of one of them. */
export function pixelsOf({ shape, data }: Tensor, index: number): ImageData {
  const [, height = 1, width = 1] = shape;
  const pixels = new ImageData(width, height);
  const from = index * width * height * 3;
  for (let p = 0; p < width * height; p++) {
    for (let c = 0; c < 3; c++) pixels.data[4 * p + c] = data[from + 3 * p + c] ?? 0;
    pixels.data[4 * p + 3] = 255;
  }
  return pixels;
}
