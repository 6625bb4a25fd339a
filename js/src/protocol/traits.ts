// What the kernel keeps in traits: the one list of names and types that both sides agree on.

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
export interface PartialPruning {
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

export type Compared = "methods" | "classes" | "layers" | "images" | "models";

/** What the kernel compared; before it did, and while it does, only the first four are there. */
export interface Comparison {
  of: Compared;
  method: string;
  /** Classes beside the likely ones. */
  classes: number[];
  /** What is being compared, "" when nothing is. */
  asked: Compared | "";
  names: string[];
  /** What a click on each selects: a method, class, layer or image; a model's number. */
  keys: (string | number)[];
  /** The probability of a class, the class of an image or of a model. */
  notes: string[];
  /** File names of images; empty without any. */
  files: string[];
  /** Rank correlation [item][item]; null where a map is the same everywhere. */
  correlation: (number | null)[][];
  /** Methods that do not work here, and why. */
  skipped: Record<string, string>;
  /** The class that is explained. */
  target: string;
  /** How many there are: of many images only the first are compared. */
  total: number;
  version: number;
  /** Which maps it belongs to. */
  stamp: number;
}

/** Mean height of the insertion and of the deletion curve, in [0, 1]. */
export type Areas = readonly [insertion: number, deletion: number];

/** One map, with the center of the picture and a random map beside it. */
export interface MapScores {
  method: string;
  layer: number;
  target: string;
  /** Whether that is a class, and the curves are its probability. */
  by_class: boolean;
  version: number;
  /** Share of the patches that is shown, or hidden. */
  fractions: number[];
  insertion: Record<string, number[]>;
  deletion: Record<string, number[]>;
  areas: Record<string, Areas>;
}

/** Compared maps; null where a map was not scored yet. */
export interface ComparedScores {
  /** Of the comparison. */
  stamp: number;
  areas: (Record<string, Areas> | null)[];
}

export interface Faithfulness {
  asked?: "" | "map" | "compared";
  map?: MapScores;
  compared?: ComparedScores;
}

export type FamilyName = "patches" | "class";

export interface ClusterInfo {
  name: string;
  /** Heads, those of every image counted. */
  size: number;
  /** How much its heads do each thing, 0 to 1. */
  scores: Record<string, number>;
  layers: [layer: number, count: number][];
}

export interface FamilyInfo {
  points: number;
  images: number;
  error: number;
  pca_error: number;
  stability: number | null;
  clusters: ClusterInfo[];
}

export interface PatternsInfo {
  version: number;
  families: Partial<Record<FamilyName, FamilyInfo>>;
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
  _model_info: ModelInfo | Record<string, never>;
  _picture: DataView;
  decision: Decision | Record<string, never>;
  _maps: DataView;
  _importance_data: DataView;
  _attention_rows: DataView;
  accuracy: Accuracy | Record<string, never>;
  partial: PartialPruning | Record<string, never>;
  curves: Record<string, Curve>;
  _strength_data: DataView;
  _strength_set: DataView;
  _overview: Overview | Record<string, never>;
  /** uint8 [image, row, col, 3] as safetensors; empty where there are too many. */
  _thumbnails: DataView;
  _comparison: Comparison | Record<string, never>;
  /** Maps [item, row, col] as safetensors, with the stamp of the comparison they belong to. */
  _comparison_maps: DataView;
  faithfulness: Faithfulness;
  _patterns_info: PatternsInfo | Record<string, never>;
  _patterns_here: DataView;
  status: Status;
  _version: number;
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
