// Integrated gradients from the mean color to the picture, as in
// `vit_attention_widget/explainers/methods/integrated_gradients.py`.

import type { Network } from "./network";
import { add, at } from "./numbers";
import { ofWholeModel } from "./occlusion";
import { PILOT_PLACES, placesAndShares } from "./places_on_the_way";
import type { Trace } from "./trace";
import type { Step } from "./turn";

const AT_ONCE = 4;
/** Share of the progress that looking along the way is. */
const AHEAD = 0.15;

export async function integratedGradients(
  network: Network,
  trace: Trace,
  target: number,
  step: Step,
): Promise<Float32Array> {
  const { input, masked, size } = trace;
  const placed = (place: number) => input.map((value) => Math.fround(place) * value);
  const scores: number[] = [];
  for (let start = 0; start < PILOT_PLACES.length; start += AT_ONCE) {
    step((AHEAD * start) / PILOT_PLACES.length);
    const places = PILOT_PLACES.slice(start, start + AT_ONCE);
    const outcomes = await network.outcomes(
      places.map((place) => ({ input: placed(place), masked })),
    );
    for (const { logits } of outcomes) scores.push(at(logits, target));
  }
  const mean = new Float64Array(input.length);
  const places = placesAndShares(scores);
  for (const [i, { place, share }] of places.entries()) {
    step(AHEAD + ((1 - AHEAD) * i) / places.length);
    const gradient = await network.pictureGradient(placed(place), masked, target);
    add(mean, 0, gradient, 0, mean.length, share);
  }
  const { rows, cols, layers } = size;
  const side = Math.sqrt(input.length / 3);
  const byPatch = new Float64Array(rows * cols);
  mean.forEach((each, i) => {
    const [row, col] = [Math.floor(i / side) % side, i % side];
    const patch = Math.floor((row * rows) / side) * cols + Math.floor((col * cols) / side);
    byPatch[patch] = at(byPatch, patch) + each * at(input, i);
  });
  return ofWholeModel(byPatch, layers);
}
