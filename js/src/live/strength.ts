// How far heads attend, as in `vit_attention_widget/strength/`.

import type { StrengthOfSet, StrengthTensors } from "../protocol/schema";
import { at, total } from "./numbers";
import { encode, floats } from "./tensors";
import type { Trace } from "./trace";

/** `patch` is the side of a patch in pixels. */
export const strength = (trace: Trace, patch: number): DataView => encode(measured(trace, patch));

/** The entropies of traces of several pictures. */
export function strengthOfSet(traces: Trace[], patch: number): DataView {
  const entropies = traces.map((trace) => measured(trace, patch).entropy);
  const all = entropies.flatMap(({ data }) => [...data]);
  const tensors: StrengthOfSet = {
    entropy: floats([traces.length, ...(entropies[0]?.shape ?? [])], all),
  };
  return encode(tensors);
}

function measured(trace: Trace, patch: number): StrengthTensors {
  const { layers, heads, tokens, rows, cols } = trace.size;
  const hops = Math.max(rows, cols);
  const count = layers * heads;
  const profile = new Float32Array(count * hops);
  const of = () => new Float32Array(count);
  const [entropy, distance, toItself, toPatches, toClass] = [of(), of(), of(), of(), of()];
  const pairs = new Float64Array(hops);
  const hop = new Uint8Array(rows * cols * rows * cols);
  const pixels = new Float64Array(hop.length);
  for (let i = 0; i < hop.length; i++) {
    const [from, to] = [Math.floor(i / (rows * cols)), i % (rows * cols)];
    const down = Math.abs(Math.floor(from / cols) - Math.floor(to / cols));
    const across = Math.abs((from % cols) - (to % cols));
    hop[i] = Math.max(down, across);
    pairs[Math.max(down, across)] = at(pairs, Math.max(down, across)) + 1;
    pixels[i] = Math.hypot(down, across) * patch;
  }
  const n = tokens - 1;
  for (let i = 0; i < count; i++) {
    const [layer, head] = [Math.floor(i / heads), i % heads];
    const all = trace.attention(layer);
    const weights = all.subarray(head * tokens * tokens, (head + 1) * tokens * tokens);
    const sums = new Float64Array(hops);
    let far = 0;
    let seen = 0;
    for (let query = 0; query < n; query++) {
      const row = (query + 1) * tokens;
      const whole = total(weights, row + 1, row + tokens) || 1;
      seen += at(weights, row);
      for (let key = 0; key < n; key++) {
        const weight = at(weights, row + 1 + key);
        const place = at(hop, query * n + key);
        sums[place] = at(sums, place) + weight;
        far += (weight / whole) * at(pixels, query * n + key);
      }
    }
    const means = sums.map((sum, k) => sum / at(pairs, k));
    const share = total(means);
    profile.set(means, i * hops);
    entropy[i] = -total(
      means.map((mean) => (mean > 0 ? (mean / share) * Math.log(mean / share) : 0)),
    );
    distance[i] = far / n;
    toItself[i] = at(weights, 0);
    toPatches[i] = total(weights, 1, tokens);
    toClass[i] = seen / n;
  }
  const shape = [layers, heads];
  return {
    profile: floats([...shape, hops], profile),
    entropy: floats(shape, entropy),
    distance: floats(shape, distance),
    class_to_class: floats(shape, toItself),
    class_to_patches: floats(shape, toPatches),
    patches_to_class: floats(shape, toClass),
  };
}
