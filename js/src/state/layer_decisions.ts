// What the model would decide after each layer, and each patch in it, as the kernel read it out.

import type { Decoded, Tensor } from "../protocol/safetensors";
import type { LayerDecisionsMetadata, LayerDecisionsTensors } from "../protocol/schema";

export interface ClassValue {
  index: number;
  value: number;
}

/** A class through the layers. */
export interface FollowedClass {
  index: number;
  now: Float32Array;
  /** With every head in place; null where none is pruned. */
  before: Float32Array | null;
}

export interface LayerDecisions {
  version: number;
  /** Why nothing, or no patch by itself, could be read out; "" where it could. */
  refused: string;
  patchesRefused: string;
  /** The class that is explained, -1 for another target, and what it is called. */
  target: number;
  targetName: string;
  layers: number;
  lines: FollowedClass[];
  /** The likeliest classes after a layer, the likeliest first. */
  best: (layer: number) => ClassValue[];
  patches: PatchDecisions | null;
  /**
   * Which color a class has: the followed ones the same in every layer, then those that most patches
   * of the layer say; -1 for the others.
   */
  slot: (index: number, layer?: number) => number;
}

export interface PatchDecisions {
  /** The likeliest classes by a patch alone, the likeliest first. */
  best: (layer: number, patch: number) => ClassValue[];
  /** The likeliest class of every patch of a layer with how many patches say so, most first. */
  counts: (layer: number) => { index: number; count: number }[];
  /** What is explained, by each patch alone: [layer, row, col] flat. */
  target: Float32Array;
}

const COLORS = 10;

export function layerDecisionsOf(
  decoded: Decoded<LayerDecisionsTensors, LayerDecisionsMetadata> | null,
): LayerDecisions | null {
  if (!decoded) return null;
  const { tensors, metadata } = decoded;
  const layers = tensors.lines?.shape[1] ?? 0;
  const lines = Array.from(tensors.classes?.data ?? [], (index, line) => {
    const of = (tensor: Tensor<Float32Array> | undefined) =>
      tensor?.data.subarray(line * layers, (line + 1) * layers) ?? null;
    return {
      index,
      now: of(tensors.lines) ?? new Float32Array(),
      before: of(tensors.lines_before),
    };
  });
  const patches = patchesOf(tensors);
  const colored = coloredClasses(lines, patches, layers);
  return {
    version: Number(metadata.version),
    refused: metadata.refused,
    patchesRefused: metadata.patches_refused,
    target: Number(metadata.target),
    targetName: metadata.target_name,
    layers,
    lines,
    best: (layer) => ranked(tensors.best, tensors.best_classes, layer),
    patches,
    slot: (index, layer = 0) => colored[layer]?.indexOf(index) ?? -1,
  };
}

/** The classes of one place among many, the ranks being the last axis. */
function ranked(
  values: Tensor<Float32Array> | undefined,
  classes: Tensor<Float32Array> | undefined,
  place: number,
): ClassValue[] {
  const ranks = values?.shape.at(-1) ?? 0;
  return Array.from({ length: ranks }, (_, rank) => ({
    index: classes?.data[place * ranks + rank] ?? -1,
    value: values?.data[place * ranks + rank] ?? Number.NaN,
  }));
}

function patchesOf(tensors: LayerDecisionsTensors): PatchDecisions | null {
  const { patch_values: values, patch_classes: classes, patch_target: target } = tensors;
  if (!values || !classes || !target) return null;
  const [, rows = 0, cols = 0, ranks = 0] = classes.shape;
  const count = rows * cols;
  return {
    best: (layer, patch) => ranked(values, classes, layer * count + patch),
    counts(layer) {
      const counts = new Map<number, number>();
      for (let patch = 0; patch < count; patch++) {
        const index = classes.data[(layer * count + patch) * ranks] ?? -1;
        counts.set(index, (counts.get(index) ?? 0) + 1);
      }
      return [...counts]
        .map(([index, each]) => ({ index, count: each }))
        .sort((a, b) => b.count - a.count);
    },
    target: target.data,
  };
}

/** The colored classes of each layer: the followed ones first, then those that most patches say. */
function coloredClasses(
  lines: readonly FollowedClass[],
  patches: PatchDecisions | null,
  layers: number,
): number[][] {
  const followed = lines.map(({ index }) => index);
  return Array.from({ length: layers }, (_, layer) => {
    const said = (patches?.counts(layer) ?? []).map(({ index }) => index);
    return [...new Set([...followed, ...said])].slice(0, COLORS);
  });
}

/** The layer from which on the last layer's likeliest class stays the likeliest. */
export function decidedAt({ best, layers }: LayerDecisions): number {
  const [last] = best(layers - 1);
  let from = layers - 1;
  while (from > 0 && best(from - 1)[0]?.index === last?.index) from--;
  return from;
}
