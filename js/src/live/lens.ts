// What each layer and patch would decide, as `session/studies/layer_decisions.py` says it.

import type { LayerDecisionsMetadata, LayerDecisionsTensors } from "../protocol/schema";
import { at, best, softmax } from "./numbers";
import { encode, floats } from "./tensors";
import type { Trace } from "./trace";

const LINES = 6;
const LIKELY = 3;
const RANKS = 3;

export function layerDecisions(
  trace: Trace,
  whole: Trace | null,
  said: LayerDecisionsMetadata,
): DataView {
  const { layers, tokens, rows, cols } = trace.size;
  const now = byLayer(trace);
  const was = whole && byLayer(whole);
  const classes = followed(now, was, said.target);
  const lines = (of: Float64Array[]) => classes.flatMap((c) => of.map((each) => at(each, c)));
  const ranked = now.map((each) => best(each, RANKS));
  const values: number[] = [];
  const names: number[] = [];
  const target: number[] = [];
  for (let layer = 0; layer < layers; layer++) {
    for (let token = 1; token < tokens; token++) {
      const each = decided(trace, layer, token);
      for (const index of best(each, RANKS)) {
        names.push(index);
        values.push(at(each, index));
      }
      target.push(at(each, said.target));
    }
  }
  const grid = [layers, rows, cols];
  const tensors: LayerDecisionsTensors = {
    classes: floats([classes.length], classes),
    lines: floats([classes.length, layers], lines(now)),
    best: floats(
      [layers, RANKS],
      now.flatMap((each, layer) => (ranked[layer] ?? []).map((index) => at(each, index))),
    ),
    best_classes: floats([layers, RANKS], ranked.flat()),
    patch_target: floats(grid, target),
    patch_values: floats([...grid, RANKS], values),
    patch_classes: floats([...grid, RANKS], names),
  };
  if (was) tensors.lines_before = floats([classes.length, layers], lines(was));
  return encode(tensors, said);
}

function decided({ size, forward }: Trace, layer: number, token: number): Float64Array {
  const start = (layer * size.tokens + token) * size.classes;
  return softmax(forward.token_logits.subarray(start, start + size.classes));
}

const byLayer = (trace: Trace) =>
  Array.from({ length: trace.size.layers }, (_, layer) => decided(trace, layer, 0));

/** What is explained, the likeliest classes, and those that are likely after some layer. */
function followed(now: Float64Array[], was: Float64Array[] | null, target: number): number[] {
  const last = now.at(-1) as Float64Array;
  const likely = best(last, LIKELY);
  const before = was ? best(was.at(-1) as Float64Array, 1) : [];
  const most = last.map((_, c) => Math.max(...[...now, ...(was ?? [])].map((each) => at(each, c))));
  const ordered = [...likely.slice(0, 1), target, ...before, ...likely, ...best(most, LINES)];
  return [...new Set(ordered)].slice(0, LINES);
}
