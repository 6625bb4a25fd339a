// Pictures of which patches are hidden, as in `vit_attention_widget/evaluation/`: in the order of a
// map, behind the mean color or a blur.

import { at, total } from "./numbers";
import type { Size } from "./passes";

/** Patches, the map's highest first; those of equal value in the order of `shuffled`. */
export function inOrder(map: ArrayLike<number>, shuffled: readonly number[]): number[] {
  return [...shuffled].sort((a, b) => at(map, b) - at(map, a));
}

/** A picture [channel, row, col] with the pixels of some patches taken from another. */
export function withHidden(
  input: Float32Array,
  patches: Iterable<number>,
  behind: Float32Array,
  { rows, cols }: Pick<Size, "rows" | "cols">,
): Float32Array {
  const without = input.slice();
  const side = Math.sqrt(input.length / 3);
  const [height, width] = [side / rows, side / cols];
  for (const patch of patches) {
    const [top, left] = [Math.floor(patch / cols) * height, (patch % cols) * width];
    for (let line = 0; line < 3 * height; line++) {
      const channel = Math.floor(line / height);
      const start = (channel * side + top + (line % height)) * side + left;
      without.set(behind.subarray(start, start + width), start);
    }
  }
  return without;
}

/** A picture blurred by a Gaussian, extended by its edge; sigma in pixels. */
export function blurred(input: Float32Array, sigma: number): Float32Array {
  const side = Math.sqrt(input.length / 3);
  const radius = Math.ceil(3 * sigma);
  const raw = Array.from({ length: 2 * radius + 1 }, (_, i) =>
    Math.exp(-0.5 * ((i - radius) / sigma) ** 2),
  );
  const sum = total(raw);
  const weights = Float32Array.from(raw, (each) => each / sum);
  let image = input;
  for (const stride of [side, 1]) {
    const source = image;
    image = source.map((_, i) => {
      const place = Math.floor(i / stride) % side;
      let value = 0;
      for (let d = -radius; d <= radius; d++) {
        const there = Math.min(side - 1, Math.max(0, place + d));
        value += at(weights, d + radius) * at(source, i + (there - place) * stride);
      }
      return value;
    });
  }
  return image;
}
