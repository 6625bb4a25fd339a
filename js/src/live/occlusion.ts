// What the class's logit loses when a patch is hidden: one run a patch.

import { withHidden } from "./hidden_patches";
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
  const mean = new Float32Array(trace.input.length); // the mean color is 0
  const falls = new Float32Array(rows * cols);
  for (let start = 0; start < falls.length; start += AT_ONCE) {
    step(start / falls.length);
    const patches = Array.from({ length: Math.min(AT_ONCE, falls.length - start) }, (_, i) => i);
    const outcomes = await network.outcomes(
      patches.map((i) => ({
        input: withHidden(trace.input, [start + i], mean, trace.size),
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
