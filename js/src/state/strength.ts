// How strongly heads attend near and far, as the kernel measured it.

import type { Decoded } from "../protocol/safetensors";
import type { StrengthOfSet, StrengthTensors } from "../protocol/schema";

export interface Strength {
  hops: number;
  entropy: (layer: number, head: number) => number;
  /** In pixels. */
  distance: (layer: number, head: number) => number;
  /** Share of the strength at each hop, summing to 1. */
  shares: (layer: number, head: number) => number[];
  /** Of the class token to itself, to the patches, and of the patches to it; NaN without one. */
  classShares: (layer: number, head: number) => [number, number, number];
  /** Entropy of a head on each image of the set; empty until it was measured. */
  ofSet: (layer: number, head: number) => number[];
}

export function strengthOf(
  decoded: Decoded<StrengthTensors> | null,
  set: Decoded<StrengthOfSet> | null,
): Strength | null {
  if (!decoded) return null;
  const { profile } = decoded.tensors;
  const [, heads = 0, hops = 0] = profile.shape;
  const byHead = (name: keyof StrengthTensors) => (layer: number, head: number) =>
    decoded.tensors[name]?.data[layer * heads + head] ?? Number.NaN;
  return {
    hops,
    entropy: byHead("entropy"),
    distance: byHead("distance"),
    shares(layer, head) {
      const from = (layer * heads + head) * hops;
      const values = Array.from(profile.data.slice(from, from + hops));
      const sum = values.reduce((a, b) => a + b, 0);
      return values.map((value) => (sum > 0 ? value / sum : 0));
    },
    classShares: (layer, head) => [
      byHead("class_to_class")(layer, head),
      byHead("class_to_patches")(layer, head),
      byHead("patches_to_class")(layer, head),
    ],
    ofSet(layer, head) {
      const entropy = set?.tensors.entropy;
      if (!entropy) return [];
      const [images = 0, layers = 0, width = 0] = entropy.shape;
      return Array.from(
        { length: images },
        (_, image) => entropy.data[(image * layers + layer) * width + head] ?? Number.NaN,
      ).filter(Number.isFinite);
    },
  };
}
