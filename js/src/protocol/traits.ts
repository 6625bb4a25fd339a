// What the kernel keeps in traits: the one list of names and types that both sides agree on.

import type { Comparison } from "../state/comparison";
import type { Faithfulness } from "../state/faithfulness";
import type { PatternsInfo } from "../state/patterns";

export type Direction = "looks_at" | "looked_at_by";
export type Colormap = "viridis" | "cividis" | "magma";
export type Interpolation = "bilinear" | "nearest";
export type Scale = "shared" | "layer" | "sigmoid";
export type Head = readonly [layer: number, head: number];

export interface Choice {
  key: string;
  label: string;
  hint: string;
}

export interface ModelInfo {
  name: string;
  num_layers: number;
  num_heads: number[];
  prefix: string[];
  rows: number;
  cols: number;
  num_tokens: number;
  image_width: number;
  image_height: number;
  class_names: string[] | null;
  num_classes: number;
  /** Whether classes are prompts that can be typed. */
  takes_prompts: boolean;
  methods: Choice[];
  metrics: Choice[];
  image_name: string;
  /** Whether a class is explained, and not another target. */
  by_class: boolean;
  /** Models to compare with. */
  other_models: string[];
  /** Further images that the session knows, 0 without. */
  set_size: number;
}

export interface DecisionRow {
  index: number;
  name: string;
  before: number;
  after: number | null;
}

export interface Decision {
  target: number;
  target_name: string;
  target_before: number;
  target_after: number | null;
  pruned: [number, number][];
  rows: DecisionRow[];
}

/** Share of labelled images that are given their class; empty without labelled images. */
export interface Accuracy {
  before: number;
  after: number | null;
  count: number;
}

/** What becomes of the decision when parts of one head's attention are set to zero. */
export interface Partial {
  layer: number;
  head: number;
  rows: {
    mode: string;
    /** [[class-class, class-patch], [patch-class, patch-patch]], true where zeroed. */
    zeroed: [[boolean, boolean], [boolean, boolean]];
    probability: number;
    top5: [string, number][];
  }[];
}

/** A decision as ever more heads are removed; `values[n]` is without the first n of `order`. */
export interface Curve {
  name: string;
  metric: "probability" | "accuracy";
  values: number[];
  order: Head[];
  /** Heads that can go; fewer values than that while it is drawn, or when it was cancelled. */
  total: number;
}

/** All images of the set; what is not known yet is missing. */
export interface Overview {
  total: number;
  /** File names; empty without any. */
  names: string[];
  /** Classes that came with the images, null without. */
  labels: number[] | null;
  predicted: number[];
  /** Of the predicted class. */
  probability: number[];
  /** In the plane, y upwards; empty until the images were laid out. */
  points: [number, number][];
  /** What the points are. */
  layout: string;
  /** What the points were made from, "" before. */
  metric: string;
  /** What is being measured, "" when nothing is. */
  measuring: string;
  /** Images measured so far. */
  done: number;
}

export interface Status {
  state: "idle" | "computing" | "error";
  label: string;
  progress: number | null;
  error: { message: string; hint: string; details: string } | null;
  milliseconds: number | null;
}

/** Every synced trait. Selections go both ways; the rest comes from the kernel. */
export interface Traits {
  selected_layer: number;
  /** -1 is the mean of the heads. */
  selected_head: number;
  /** Index in the sequence, prefix tokens included. */
  selected_token: number;
  /** Number in the image set; -1 is the image that was given. */
  selected_image: number;
  direction: Direction;
  pruned_heads: [number, number][];
  method: string;
  metric: string;
  target: number;
  colormap: Colormap;
  opacity: number;
  interpolation: Interpolation;
  scale: Scale;
  /** Open panels of the Explorer, in order; other widgets have no such trait. */
  panels: string[] | undefined;
  model_info: ModelInfo | Record<string, never>;
  picture: DataView;
  decision: Decision | Record<string, never>;
  maps: DataView;
  importance_data: DataView;
  attention_rows: DataView;
  accuracy: Accuracy | Record<string, never>;
  partial: Partial | Record<string, never>;
  curves: Record<string, Curve>;
  strength_data: DataView;
  strength_set: DataView;
  overview: Overview | Record<string, never>;
  /** uint8 [image, row, col, 3] as safetensors; empty where there are too many. */
  thumbnails: DataView;
  comparison: Comparison | Record<string, never>;
  /** Maps [item, row, col] as safetensors, with the stamp of the comparison they belong to. */
  comparison_maps: DataView;
  faithfulness: Faithfulness;
  patterns_info: PatternsInfo | Record<string, never>;
  patterns_here: DataView;
  status: Status;
  version: number;
}

export type Selection =
  | "selected_layer"
  | "selected_head"
  | "selected_token"
  | "selected_image"
  | "direction"
  | "pruned_heads"
  | "method"
  | "metric"
  | "target"
  | "colormap"
  | "opacity"
  | "interpolation"
  | "scale"
  | "panels";
