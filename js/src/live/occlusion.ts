// What the class's logit loses when a patch is hidden: one run a patch.

import type { Network } from "./network";
import { at } from "./numbers";
import type { Trace } from "./trace";
import type { Step } from "./turn";

const AT_ONCE = 10;

/** [layer, patch], the same after every layer. */
export async function occlusion(
  network: Network,
  trace: Trace,
  target: number,
  step: Step,
): Promise<Float32Array> {
  const { rows, cols, layers } = trace.size;
  const falls = new Float32Array(rows * cols);
  for (let start = 0; start < falls.length; start += AT_ONCE) {
    step(start / falls.length);
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
  return ofWholeModel(falls, layers);
}

/** A map of the whole model, which is the same after every layer. */
export function ofWholeModel(map: ArrayLike<number>, layers: number): Float32Array {
  const maps = new Float32Array(layers * map.length);
  for (let layer = 0; layer < layers; layer++) maps.set(map, layer * map.length);
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
