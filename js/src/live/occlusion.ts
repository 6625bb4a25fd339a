// What the class's logit loses when a patch is hidden: one run a patch.

import type { Network } from "./network";
import { at } from "./numbers";
import type { Trace } from "./trace";

const AT_ONCE = 10;

/** [layer, patch], the same after every layer. */
export async function occlusion(
  network: Network,
  trace: Trace,
  target: number,
): Promise<Float32Array> {
  const { rows, cols, layers } = trace.size;
  const falls = new Float32Array(rows * cols);
  for (let start = 0; start < falls.length; start += AT_ONCE) {
    const patches = Array.from({ length: Math.min(AT_ONCE, falls.length - start) }, (_, i) => i);
    const outcomes = await network.outcomes(
      patches.map((i) => ({
        input: hidden(trace.input, start + i, rows, cols),
        masked: trace.masked,
      })),
    );
    outcomes.forEach(({ logits }, i) => {
      falls[start + i] = at(trace.forward.logits, target) - at(logits, target);
    });
  }
  const maps = new Float32Array(layers * falls.length);
  for (let layer = 0; layer < layers; layer++) maps.set(falls, layer * falls.length);
  return maps;
}

/** The picture with one patch of the mean color, which is 0. */
function hidden(input: Float32Array, patch: number, rows: number, cols: number): Float32Array {
  const without = input.slice();
  const side = Math.sqrt(input.length / 3);
  const [height, width] = [side / rows, side / cols];
  const [top, left] = [Math.floor(patch / cols) * height, (patch % cols) * width];
  for (let line = 0; line < 3 * height; line++) {
    const channel = Math.floor(line / height);
    const start = (channel * side + top + (line % height)) * side + left;
    without.fill(0, start, start + width);
  }
  return without;
}
