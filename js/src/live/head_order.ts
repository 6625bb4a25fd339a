// In which order heads go, as in `vit_attention_widget/pruning/curve/order.py`.

import type { Head } from "../protocol/schema";
import { ablate, fillTaylor, unknown } from "./importance";
import { add, at, logSoftmax } from "./numbers";
import { scenePicture } from "./pictures";
import type { LiveSession } from "./session";
import type { Step } from "./turn";

/** Heads of the whole model, the least important over the scenes first. */
export async function byImportance(
  session: LiveSession,
  metric: string,
  step: Step,
): Promise<Head[]> {
  const { size, network, scenes } = session;
  const sums = new Float64Array(size.layers * size.heads);
  for (const [i, label] of scenes.labels.entries()) {
    step(0);
    const trace = await session.pass(scenePicture(scenes, i), []);
    const tables = unknown(trace, [metric]);
    if (metric === "taylor") {
      fillTaylor(tables, trace, await trace.gradientsOf(label));
    } else {
      for (let layer = 0; layer < size.layers; layer++) {
        await ablate(network, trace, layer, label, tables);
      }
    }
    add(sums, 0, tables[metric] as Float32Array, 0, sums.length, 1 / scenes.labels.length);
  }
  const order = Array.from(sums, (_, i) => i).sort((a, b) => at(sums, b) - at(sums, a));
  return order.map((i): Head => [Math.floor(i / size.heads), i % size.heads]).reverse();
}

/** The head whose removal, after those that went, costs the scenes the least probability. */
export async function cheapest(
  session: LiveSession,
  removed: readonly Head[],
  left: readonly Head[],
  step: Step,
): Promise<Head> {
  const { network, scenes } = session;
  const costs = new Float64Array(left.length);
  for (const [i, label] of scenes.labels.entries()) {
    step(i / scenes.labels.length);
    const { input } = scenePicture(scenes, i);
    const outcomes = await network.outcomes(
      left.map((head) => ({ input, masked: [...removed, head] })),
    );
    outcomes.forEach(({ logits }, h) => {
      // Of what there is before, each head costs the same.
      costs[h] = at(costs, h) - Math.exp(at(logSoftmax(logits), label));
    });
  }
  return left[costs.indexOf(Math.min(...costs))] as Head;
}

/** How many heads can go while at every step this share of the first value is left; null: all. */
export function headsWithin(values: readonly number[], share: number): number | null {
  const whole = at(values, 0);
  const most = (1 - share) * whole;
  const tooFar = values.findIndex((value) => {
    const fall = whole - value;
    return fall > most && fall - most > 1e-6 * Math.max(fall, most);
  });
  return tooFar < 0 ? null : tooFar - 1;
}
