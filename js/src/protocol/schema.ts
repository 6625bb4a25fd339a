// Written by `python -m vit_attention_widget.protocol.typescript` from
// `vit_attention_widget/protocol/schema/`: change that, and write this anew.

import type { Encoded, Tensor } from "./safetensors";

/** Steps that are remembered; older ones can no longer be undone. */
export const MOST_STEPS = 100;

/** Selections that are undone. */
export const UNDONE = [
  "target",
  "selected_layer",
  "selected_head",
  "selected_token",
  "direction",
  "method",
  "metric",
  "overlay",
] as const;

/** A layer and a head of it, both from 0. */
export type Head = readonly [number, number];

/** Whether a token's row of the attention is shown, or its column. */
export type Direction = "attends_to" | "attended_by";

export type Colormap = "viridis" | "cividis" | "magma";

/** How a map's patches are enlarged to the picture. */
export type Interpolation = "bilinear" | "nearest";

/** What lies on the large picture: what speaks for the explained class, attention, or nothing. */
export type Overlay = "explanation" | "attention" | "plain";

/** One color scale for the maps of all layers, one for each, or DAAM's own sigmoid. */
export type Scale = "shared" | "layer" | "sigmoid";

/**
 * The heads that were pruned or restored; or selections a person chose together, by name, as they
 * are on the other side of the step. Target null is the predicted class.
 */
export type Step = Head[] | Record<string, number | string | null>;

/** The pruned heads, and steps that were taken. Whoever sets it sets `pruned_heads`. */
export interface StepHistory {
  /** Sorted, each once. */
  pruned: Head[];
  /** Steps that can be undone, the last one last. */
  undo: Step[];
  /** Steps that were undone, the last one last. */
  redo: Step[];
}

/** What is selected. The session validates it; the browser takes what the session says. */
export interface Selections {
  /** Class that is explained; null while there is none, or where the target is no class. */
  target: number | null;
  selected_layer: number;
  /** -1 is the mean of the heads. */
  selected_head: number;
  /** Index in the sequence, prefix tokens included. */
  selected_token: number;
  /** Number in the image set; -1 is the image that was given. */
  selected_image: number;
  direction: Direction;
  /** Before `pruned_heads`, which follow from it, where both are set at once. */
  _history: StepHistory;
  /** Sorted, each once; what is set here alone is a step of the history. */
  pruned_heads: Head[];
  /** Key of one of the methods in `_model_info`. */
  method: string;
  /** Key of one of the metrics in `_model_info`. */
  metric: string;
  colormap: Colormap;
  /** Of the map over the picture, 0 to 1. */
  opacity: number;
  interpolation: Interpolation;
  scale: Scale;
  overlay: Overlay;
}

export const SELECTIONS = [
  "target",
  "selected_layer",
  "selected_head",
  "selected_token",
  "selected_image",
  "direction",
  "_history",
  "pruned_heads",
  "method",
  "metric",
  "colormap",
  "opacity",
  "interpolation",
  "scale",
  "overlay",
] as const;

/** What is selected in the Explorer only. */
export interface ExplorerSelections {
  /** Open panels, in order; `PANELS` of `widgets/explorer.py` has them all. */
  panels: string[];
  /** Step of the tour, from 0; -1 is none. */
  tour_step: number;
}

export const EXPLORER_SELECTIONS = ["panels", "tour_step"] as const;

/** A step of a tour. In its texts words in braces are filled in, e.g. `{class}`. */
export interface TourStep {
  /** A sentence or two. */
  text: string;
  /** One thing to do; "" where there is only something to look at. */
  do: string;
  /** Selections one of which changes when that is done. */
  waits_for: string[];
  /** What one sees then. */
  answer: string;
  /** What it is about; "" where it is about no panel. */
  panel: string;
  /** What is selected when the step begins. */
  select: Record<string, unknown>;
}

/** What goes from the kernel to the Explorer only. */
export interface ExplorerResults {
  _tour: TourStep[];
}

export const EXPLORER_RESULTS = ["_tour"] as const;

/**
 * Attention of one token in every head: its row or column, `rows / 255 * scale`. Of all layers, or
 * of some that follow each other where all would be too much at once.
 */
export interface AttentionRows {
  /** uint8 [layer, head, token]. Heads that a layer lacks are 0. */
  rows: Tensor<Uint8Array>;
  /** float32 [layer, head]. Largest value of the row. */
  scale: Tensor<Float32Array>;
}

/** Which rows they are. */
export interface RowsMetadata {
  token: number;
  direction: Direction;
  /** The first of their layers. */
  first_layer: number;
}

/** Attention of every head of a layer: `attention / 255 * scale`. */
export interface AttentionLayer {
  /** uint8 [head, query, key]. */
  attention: Tensor<Uint8Array>;
  /** float32 [head, query]. Largest value of the row. */
  scale: Tensor<Float32Array>;
}

/** Maps by method, not normalized; `"daam.before"` is without the pruned heads masked. */
export type MapsByMethod = Record<string, Tensor<Float32Array>>;

/** Importance by metric; NaN where not known yet, no such head, or pruned. */
export type ImportanceTables = Record<string, Tensor<Float32Array>>;

/** What importance is relative to. */
export interface BaselineMetadata {
  /** Probability of the class, or value of the target, with no further head masked. */
  baseline: number;
}

/** How strongly heads attend near and far; NaN where a layer has no such head. */
export interface StrengthOfHeads {
  /**
   * float32 [layer, head, hop]. Mean attention over all pairs of patches so many hops apart; hop 0
   * is the patch itself.
   */
  profile: Tensor<Float32Array>;
  /** float32 [layer, head]. Of the profile scaled to sum to 1, in nats. */
  entropy: Tensor<Float32Array>;
  /**
   * float32 [layer, head]. Mean attention distance between patches, in pixels of the model input.
   */
  distance: Tensor<Float32Array>;
}

/** The same, and shares of attention, 0 to 1, where there is a class token. */
export interface StrengthTensors extends StrengthOfHeads {
  /** float32 [layer, head]. Of the class token to itself. */
  class_to_class?: Tensor<Float32Array>;
  /** float32 [layer, head]. Of the class token to all patches. */
  class_to_patches?: Tensor<Float32Array>;
  /** float32 [layer, head]. Of the mean patch to the class token. */
  patches_to_class?: Tensor<Float32Array>;
}

/** Entropy of every head on each image of the set. */
export interface StrengthOfSet {
  /** float32 [image, layer, head]. As in `StrengthOfHeads`, in nats. */
  entropy: Tensor<Float32Array>;
}

/**
 * What the model would decide after each layer, read out by its own norm and head. Values are
 * probabilities, or of a model of values the values. Empty where that is refused.
 */
export interface LayerDecisionsTensors {
  /** float32 [line]. Numbers of the classes that are followed through the layers. */
  classes?: Tensor<Float32Array>;
  /** float32 [line, layer]. Their values, with the pruned heads masked. */
  lines?: Tensor<Float32Array>;
  /** float32 [line, layer]. The same with every head in place; only where some are pruned. */
  lines_before?: Tensor<Float32Array>;
  /** float32 [layer, rank]. Of the likeliest classes after each layer, the likeliest first. */
  best?: Tensor<Float32Array>;
  /** float32 [layer, rank]. Numbers of those classes. */
  best_classes?: Tensor<Float32Array>;
  /**
   * float32 [layer, row, col, rank]. Of the likeliest classes by each patch alone; not where
   * patches cannot be read out.
   */
  patch_values?: Tensor<Float32Array>;
  /** float32 [layer, row, col, rank]. Numbers of those classes. */
  patch_classes?: Tensor<Float32Array>;
  /** float32 [layer, row, col]. Of what is explained, by each patch alone. */
  patch_target?: Tensor<Float32Array>;
}

/** What was read out, and what could not be. */
export interface LayerDecisionsMetadata {
  /** `_version` of the trace. */
  version: number;
  /** Class that is explained; -1 if it is another target. */
  target: number;
  target_name: string;
  /** Why no layer can be read out; "" where it can. */
  refused: string;
  /** Why no patch can be read out by itself; "" where it can. */
  patches_refused: string;
}

/** Small pictures of the images of the set. */
export interface Thumbnails {
  /** uint8 [image, row, col, channel]. RGB. */
  thumbnails: Tensor<Uint8Array>;
}

/** Every head over all images of a folder. */
export interface StoredOfHeads {
  /** float32 [layer, head]. NaN where a layer has no such head. */
  mean: Tensor<Float32Array>;
  /**
   * float32 [layer, head, bin]. How many images have a value in each bin; even bins of its square
   * root, sign kept.
   */
  bins: Tensor<Float32Array>;
}

/** The same, and over the images of one class. */
export interface StoredHeads extends StoredOfHeads {
  /** float32 [layer, head]. */
  class_mean?: Tensor<Float32Array>;
  /** float32 [layer, head, bin]. */
  class_bins?: Tensor<Float32Array>;
}

/** What the values are, and where the bins lie. */
export interface StoredHeadsMetadata {
  quantity: string;
  /** -1 is none. */
  of_class: number;
  /** How many they are of. */
  images: number;
  /** Square root, sign kept, where the first bin begins. */
  low: number;
  /** The same where the last bin ends. */
  high: number;
}

/** Images of a folder as points: all in order, or of very many a fixed choice. */
export interface StoredPlaces {
  /** uint16 [point, xy]. From 0 to 65535 within the box of the metadata, y upwards. */
  places: Tensor<Uint16Array>;
  /** uint16 [point]. 65535 is none. */
  classes: Tensor<Uint16Array>;
}

/** The same, and which images they are where they are not all. */
export interface StoredPoints extends StoredPlaces {
  /** uint32 [point]. Number of each point's image. */
  images?: Tensor<Uint32Array>;
}

/** Where the points lie: all of them, and those shown at first. */
export interface StoredPointsMetadata {
  left: number;
  right: number;
  bottom: number;
  top: number;
  home_left: number;
  home_right: number;
  home_bottom: number;
  home_top: number;
  /** Of the variance among images that the plane shows, 0 to 1. */
  share: number;
  /** Images that were laid out. */
  total: number;
}

/** One image of a folder. */
export interface StoredImage {
  /** float32 [layer, head]. */
  values: Tensor<Float32Array>;
}

/** What it is. */
export interface StoredImageMetadata {
  name: string;
  /** -1 is none. */
  of_class: number;
  /** Of that class, or the value of the target; NaN where it is not known. */
  probability: number;
  /** Why it cannot be looked at; "" where it can. */
  why_not: string;
}

/** Small pictures of images of a folder, of those whose files can be read. */
export interface StoredPictures {
  /** uint8 [picture, row, col, channel]. RGB. */
  thumbnails: Tensor<Uint8Array>;
  /** uint32 [picture]. */
  images: Tensor<Uint32Array>;
}

/** Compared maps, not normalized. */
export interface ComparedMaps {
  /** float32 or float16 [item, row, col]. */
  maps: Tensor<Float32Array>;
}

/** Compared maps; in float16 each is divided by its scale. */
export interface ComparisonMaps extends ComparedMaps {
  /** float32 [item]. Largest absolute value of the map; only with float16. */
  scale?: Tensor<Float32Array>;
}

/** To which comparison the maps belong: the two come in messages of their own. */
export interface StampMetadata {
  stamp: number;
}

/** Attention as pictures, each square part relative to its own largest value: 255. */
export interface PatternPictures {
  /** uint8 [item, row, col]. */
  pictures: Tensor<Uint8Array>;
}

/** All heads of all images as points; the pictures are the mean patterns of the clusters. */
export interface PatternMap extends PatternPictures {
  /** float32 or float16 [point, xy]. From -1 to 1; image by image, each with the heads in order. */
  points: Tensor<Float32Array>;
  /** uint8 [point]. Cluster of each point. */
  labels: Tensor<Uint8Array>;
  /** float32 or float16 [head, head]. Distance of heads from each other, over all images. */
  distances: Tensor<Float32Array>;
}

/** Where the heads of the shown image lie on the map of each family. */
export interface PatternsHere {
  /** float32 [head, xy]. */
  patches_points?: Tensor<Float32Array>;
  /** uint8 [head]. */
  patches_labels?: Tensor<Uint8Array>;
  /** float32 [head, xy]. */
  class_points?: Tensor<Float32Array>;
  /** uint8 [head]. */
  class_labels?: Tensor<Uint8Array>;
}

/** Nothing yet. */
export type Empty = Record<string, never>;

/** A method or metric that can be selected. */
export interface Choice {
  key: string;
  label: string;
  hint: string;
}

/** What the views must know of the model, the image, and of what is explained. */
export interface ModelInfo {
  name: string;
  image_name: string;
  /** How the image became model input, and on what ground. */
  preparation: string;
  num_layers: number;
  /** Heads of each layer. */
  num_heads: number[];
  /** Names of the tokens before the first patch. */
  prefix: string[];
  /** Of patches. */
  rows: number;
  /** Of patches. */
  cols: number;
  /** With the prefix tokens. */
  num_tokens: number;
  /** Of the model input, in pixels. */
  image_width: number;
  /** Of the model input, in pixels. */
  image_height: number;
  /**
   * Where the patches lie on the picture: top, left, bottom and right as shares of its height and
   * width; beyond 0 or 1 where the model pads it.
   */
  area: number[];
  class_names: string[] | null;
  /** 0 without a classifier. */
  num_classes: number;
  /**
   * What the model's numbers stand for: one class of several; classes of which each is there or
   * not; values that mean themselves; features.
   */
  output: "softmax" | "sigmoid" | "value" | "features";
  /** Whether classes are prompts that can be typed. */
  takes_prompts: boolean;
  /** Whether a class is explained, and not another target. */
  by_class: boolean;
  /** Methods that can explain what is explained. */
  methods: Choice[];
  /** Keys of those whose map is the same whichever class is explained. */
  class_agnostic: string[];
  /** Metrics of head importance that there are for it. */
  metrics: Choice[];
  /** Images of the set, 0 without. */
  set_size: number;
  /** Models to compare with. */
  other_models: string[];
}

/** A likely class. */
export interface DecisionRow {
  index: number;
  name: string;
  /** Probability (of a model of values the value) with every head in place. */
  before: number;
  /** The same with the pruned heads masked; null where none is. */
  after: number | null;
}

/** What the model decides: with every head in place, and with the pruned heads masked. */
export interface Decision {
  /** Class that is explained; -1 if it is another target. */
  target: number;
  target_name: string;
  /** Whether the predicted class is explained, whichever that is. */
  follows_prediction: boolean;
  /** Probability of the class, or the value where it is one, or that of another target. */
  target_before: number;
  /** The same with the pruned heads masked; null where none is. */
  target_after: number | null;
  pruned: Head[];
  /**
   * The five likeliest classes before, and after, the one that is likeliest now first; empty
   * without a classifier.
   */
  rows: DecisionRow[];
}

/** The decision with one head masked; in pages of their own. */
export interface DecisionWithout {
  target_after: number;
  rows: DecisionRow[];
}

/**
 * Share of the labeled images that are given their class. Of labels that say of each class whether
 * it is there: the share of the decisions, image by image and class by class, that are right.
 */
export interface Accuracy {
  before: number;
  /** With the pruned heads masked; null where none is, or not known yet. */
  after: number | null;
  /** Labeled images. */
  count: number;
}

/** A head that matters more once another is gone: means over the images. */
export interface BackupHead {
  gone: Head;
  backup: Head;
  /** Of the backup while the other is in place. */
  importance: number;
  /** How much more it matters once the other is gone. */
  change: number;
}

/** Which heads take over from which, as far as it was measured. */
export interface Interactions {
  metric: string;
  target: string;
  images: number;
  /** Whether it was measured on the image that is looked at; else it was given. */
  of_image: boolean;
  /** Heads that were gone so far. */
  done: number;
  /** Heads that will have been. */
  total: number;
  /** Whether it is being measured. */
  asks: boolean;
  /** Those that gain most first. */
  backups: BackupHead[];
}

/** The decision with one part of a head's attention set to zero. */
export interface PartialRow {
  mode: string;
  /** [[class-class, class-patch], [patch-class, patch-patch]], true where set to zero. */
  zeroed: boolean[][];
  /** Of the explained class; of a model of values the value. */
  probability: number;
  /** Likeliest classes with their probabilities, or the largest values. */
  top5: readonly [string, number][];
}

/** What becomes of the decision without parts of one head's attention. */
export interface PartialPruning {
  layer: number;
  head: number;
  rows: PartialRow[];
}

/** A decision as ever more heads are masked. */
export interface Curve {
  /** Of the order, in words. */
  name: string;
  metric: "probability" | "accuracy";
  /** `values[n]` is without the first n heads of `order`. */
  values: number[];
  order: Head[];
  /** Heads that can go; there are fewer values while it is drawn, or when it was cancelled. */
  total: number;
}

export type ModelFormat = "safetensors" | "ONNX";

/** The model without the pruned heads, as a file where Python runs. */
export interface SavedModel {
  path: string;
  /** How many were pruned. */
  heads: number;
  bytes: number;
}

/** Pictures that were looked at beside those of the set: given, and brought in the browser. */
export interface Brought {
  /** File names, or "image". */
  names: string[];
  /** Which is looked at; -1 is none of them. */
  shown: number;
}

/** All images of the set; lists are shorter while not everything is known. */
export interface Overview {
  total: number;
  /** File names, "" where an image has none; empty without any. */
  names: string[];
  /** Classes that came with the images. */
  labels: number[] | null;
  /** Likeliest class of each image. */
  predicted: number[];
  /** Of the predicted class; of a model of values the value. */
  probability: number[];
  /** In the plane, y upwards; empty until the images were laid out. */
  points: readonly [number, number][];
  /** What the points are: "t-SNE", "principal components" or "in order". */
  layout: string;
  /** Of the head importance that the points were made from; "" before. */
  metric: string;
  /** The metric that is being measured, "" when none is. */
  measuring: string;
  /** Images measured so far. */
  done: number;
}

/** A folder that a long run fills with numbers of images, as far as it is by now. */
export interface StoredInfo {
  folder: string;
  /** What fills it. */
  function: string;
  /** What was asked of that beside its defaults, in words. */
  options: string;
  /** Images that are there. */
  count: number;
  /** How many there will be, where that is known. */
  total: number | null;
  /** Images a second lately; 0 where no more come, and where it is not known. */
  rate: number;
  /** When the last images came, in seconds since the epoch; 0 where there are none. */
  last: number;
  /** What is known of every image and head: metrics of importance, or how far heads attend. */
  quantities: string[];
  /** That which is shown; "" until something was read. */
  quantity: string;
  /** The class that is shown by itself; -1 is none. */
  of_class: number;
  /** Images that were read by that quantity. */
  read: number;
  /** Of those images, how many could not be computed. */
  skipped: number;
  /** Whether it names the files of its images, which can then be looked at. */
  has_files: boolean;
  /** Classes, and how many images are of each, the most first; at most a thousand of them. */
  classes: readonly [number, number][];
  /** Of how many classes there are images. */
  classes_in_all: number;
  /** Why it cannot be read, or is not shown; "" while it can. */
  problem: string;
}

/** In what the maps of a comparison may differ. */
export type Compared = "methods" | "classes" | "layers" | "images" | "models";

/** A comparison that was asked for and is not there yet. */
export interface ComparisonRequest {
  of: Compared;
  method: string;
  /** Classes beside the likely ones. */
  classes: number[];
  /** What is being compared, "" when nothing is. */
  asked: Compared | "";
}

/** What was compared; its maps come as `_comparison_maps`. */
export interface Comparison extends ComparisonRequest {
  names: string[];
  /** What a click on each selects: a method, class, layer or image; a model's number. */
  keys: (string | number)[];
  /** The probability of a class, the class of an image or of a model. */
  notes: string[];
  /** File names of images; empty without any. */
  files: string[];
  /** Rank correlation [item][item], -1 to 1; null where a map is the same everywhere. */
  correlation: (number | null)[][];
  /** Methods that do not work here, and why. */
  skipped: Record<string, string>;
  /** The class that is explained. */
  target: string;
  /** How many there are: of many images only the first are compared. */
  total: number;
  /** Where the maps lie on the picture, as in the model's own. */
  area: number[];
  version: number;
  /** Which maps it belongs to. */
  stamp: number;
}

/** Mean height of the insertion and of the deletion curve, 0 to 1 for a class. */
export type Areas = readonly [number, number];

/** Scores of one map ("map"), and of what knows nothing of the model beside it. */
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

/** Scores of the compared maps. */
export interface ComparedScores {
  /** Of the comparison. */
  stamp: number;
  /** Of each map ("map") and of its baselines; null where not scored yet. */
  areas: (Record<string, Areas> | null)[];
}

/** Insertion and deletion, as far as they were asked for. */
export interface Faithfulness {
  /** What is being scored, "" when nothing is. */
  asked?: "" | "map" | "compared";
  map?: MapScores;
  compared?: ComparedScores;
}

/** Attention among patches, or of the class token to them. */
export type FamilyName = "patches" | "class";

/** Heads that attend alike. */
export interface ClusterInfo {
  name: string;
  /** Heads, those of every image counted. */
  size: number;
  /** How much its heads do each thing, 0 to 1. */
  scores: Record<string, number>;
  /** Layers, and how many of its heads are in each. */
  layers: readonly [number, number][];
}

/** A map of heads, and how good it is. */
export interface FamilyInfo {
  points: number;
  /** Images that the map was learned from. */
  images: number;
  /** Mean squared error with which the codes reconstruct the patterns. */
  error: number;
  /** The same of a PCA with as many components. */
  pca_error: number;
  /** How far clusters agree over seeds (adjusted Rand index); null where not measured. */
  stability: number | null;
  clusters: ClusterInfo[];
}

/** The map of attention patterns; no family without one. */
export interface PatternsInfo {
  /** Grows with every new map. */
  version: number;
  /** By `FamilyName`. */
  families: Record<string, FamilyInfo>;
}

/** What went wrong. */
export interface Problem {
  message: string;
  /** What to do, "" where that is in the message. */
  hint: string;
  /** Traceback of what nobody expected, else "". */
  details: string;
}

/** What is being computed. */
export interface Status {
  state: "idle" | "computing" | "error";
  /** What, in words; "" when nothing is. */
  label: string;
  /** 0 to 1; null where it is not known. */
  progress: number | null;
  error: Problem | null;
  /** That the last result took, waiting included. */
  milliseconds: number | null;
  /** How far what the user stopped had come, e.g. "34 of 144 heads"; it may go on. */
  paused: string[];
}

/** What goes from the kernel to the browser; the browser may not change it. */
export interface Results {
  decision: Decision | Empty;
  /** Empty without labels. */
  accuracy: Accuracy | Empty;
  /** Empty until asked for, or given. */
  _interactions: Interactions | Empty;
  /** Empty until asked for. */
  partial: PartialPruning | Empty;
  /** By order; those that were asked for. */
  curves: Record<string, Curve>;
  /** Empty unless the model was saved as it is pruned now. */
  _saved_model: SavedModel | Empty;
  faithfulness: Faithfulness;
  status: Status;
  /** Grows with every new trace; 0 before the first. */
  _version: number;
  _model_info: ModelInfo | Empty;
  /** What the model sees. */
  _picture: DataView;
  /** All methods, or where they are large the selected one. */
  _maps: Encoded<MapsByMethod>;
  /** Of the selected token. */
  _attention_rows: Encoded<AttentionRows, RowsMetadata>;
  _importance_data: Encoded<ImportanceTables, BaselineMetadata>;
  /**
   * With every head in place, while some are pruned; empty otherwise, and where it was not
   * measured.
   */
  _importance_before: Encoded<ImportanceTables, BaselineMetadata>;
  /** Of the image as it is shown; empty until asked for. */
  _strength_data: Encoded<StrengthTensors>;
  /** Empty until asked for. */
  _strength_set: Encoded<StrengthOfSet>;
  /** Empty until asked for. */
  _layer_decisions: Encoded<LayerDecisionsTensors, LayerDecisionsMetadata>;
  /** Empty until asked for. */
  _overview: Overview | Empty;
  /** Empty until asked for, and where there are too many images. */
  _thumbnails: Encoded<Thumbnails>;
  /** Empty unless the image set is a folder that a long run fills. */
  _stored: StoredInfo | Empty;
  /** Every head over all its images; empty until something was read. */
  _stored_heads: Encoded<StoredHeads, StoredHeadsMetadata>;
  /** Its images as points; empty until something was read. */
  _stored_points: Encoded<StoredPoints, StoredPointsMetadata>;
  _brought: Brought;
  /** Of those pictures, in their order. */
  _brought_thumbnails: Encoded<Thumbnails>;
  /** Empty until asked for. */
  _comparison: Comparison | ComparisonRequest | Empty;
  _comparison_maps: Encoded<ComparisonMaps, StampMetadata>;
  _patterns_info: PatternsInfo | Empty;
  /** Empty until asked for. */
  _patterns_here: Encoded<PatternsHere>;
}

export const RESULTS = [
  "decision",
  "accuracy",
  "_interactions",
  "partial",
  "curves",
  "_saved_model",
  "faithfulness",
  "status",
  "_version",
  "_model_info",
  "_picture",
  "_maps",
  "_attention_rows",
  "_importance_data",
  "_importance_before",
  "_strength_data",
  "_strength_set",
  "_layer_decisions",
  "_overview",
  "_thumbnails",
  "_stored",
  "_stored_heads",
  "_stored_points",
  "_brought",
  "_brought_thumbnails",
  "_comparison",
  "_comparison_maps",
  "_patterns_info",
  "_patterns_here",
] as const;

/** What a widget says of itself, whichever session it shows. */
export interface WidgetTraits {
  /** Unlike that of any other widget: by it a view finds what other views of it hold. */
  _widget_id: string;
  /**
   * In notebooks, the model that has the browser's code of all such widgets: `IPY_MODEL_` and its
   * id. Elsewhere each widget has its own.
   */
  _bundle: string | null;
  /** Each update of the widget's traits has the next number. */
  _update: number;
  /**
   * In notebooks, the same of panels that are not open at first; null until the cell that made the
   * widget has run, and where a widget has all its code.
   */
  _more: string | null;
}

/** Of the file of a picture that is brought along in the browser. */
export const MOST_BYTES = 64000000;

/** A question from the browser. */
export interface RequestMessage {
  /** Unlike that of any other. */
  id: string;
  /** Name of one of the requests. */
  method: string;
  params: Record<string, unknown>;
}

/** The browser no longer wants the reply to a request. */
export interface CancelMessage {
  /** Id of the request. */
  cancel: string;
}

/** What every answer says of itself. */
export interface AnswerMeta {
  /** `_version` when the request came. */
  version: number;
}

/** What was asked for; what is binary travels as the message's only buffer. */
export interface AnswerMessage {
  id: string;
  ok: true;
  meta: AnswerMeta;
}

/** What went wrong, and what to do. */
export interface ErrorMessage {
  message: string;
}

/** The request could not be answered. */
export interface FailureMessage {
  /** null if the message had none. */
  id: string | null;
  error: ErrorMessage;
}

/** The request was cancelled, or something newer took its place. */
export interface CancelledMessage {
  id: string;
  cancelled: true;
}

export type ReplyMessage = AnswerMessage | FailureMessage | CancelledMessage;

/** Which layer. */
export interface LayerParams {
  layer: number;
}

/** Of which token; the selection itself may still be on its way. */
export interface RowsParams {
  token: number;
  direction: Direction;
}

/** And in which layer. */
export interface MoreRowsParams extends RowsParams {
  layer: number;
}

/** Which head. */
export interface HeadParams {
  layer: number;
  head: number;
}

/** In which order heads go. */
export interface CurveParams {
  /** One of `ORDERS`: a metric of head importance, "random", ... */
  order: string;
}

/** How far to prune, and in which order. */
export interface PruneToParams {
  /** One of `ORDERS`. */
  order: string;
  /** By so many percent what is left may fall, 0 to 99. */
  fall: number;
}

/** As which kind of file. */
export interface SaveModelParams {
  format: ModelFormat;
}

/** By which metric of head importance. */
export interface MetricParams {
  metric: string;
}

/** Which image of the set, or of those that were brought. */
export interface ImageParams {
  index: number;
}

/** What to show of a folder. */
export interface StoredParams {
  quantity: string;
  /** A class by itself; -1 is none. */
  of_class: number;
}

/** Which part of the plane. */
export interface BoxParams {
  left: number;
  right: number;
  bottom: number;
  top: number;
}

/** Which images, at most 16. */
export interface PicturesParams {
  images: number[];
}

/** In what the maps differ. */
export interface ComparisonKind {
  of: Compared;
}

/** What to compare. */
export interface CompareParams extends ComparisonKind {
  /** By default the selected one. */
  method?: string;
  /** Classes beside the likely ones. */
  classes?: number[];
}

/** A part of a picture's file, which is the buffer of the request; they come in their order. */
export interface BringParams {
  /** Unlike that of any other file. */
  upload: string;
  /** Of the file. */
  name: string;
  part: number;
  /** How many there are. */
  parts: number;
}

/** Prompts that stand for classes. */
export interface PromptParams {
  prompts: string[];
}

/** Which map of attention patterns. */
export interface FamilyParams {
  family: FamilyName;
}

/** Which point of which map. */
export interface PointParams {
  family: FamilyName;
  index: number;
}

/** Every request by its name. */
export interface Requests {
  /** Attention of a whole layer. */
  attention: { params: LayerParams; buffer: Encoded<AttentionLayer> };
  /** `_attention_rows` of the selected token, where the browser does not hold them. */
  rows: { params: RowsParams; buffer: null };
  /** Those of a layer, and of others that come with it, where all were too much at once. */
  more_rows: { params: MoreRowsParams; buffer: Encoded<AttentionRows, RowsMetadata> };
  /** `partial`: the decision without parts of a head's attention. */
  partial: { params: HeadParams; buffer: null };
  /** `curves`: the decision as ever more heads are masked. */
  curve: { params: CurveParams; buffer: null };
  /** `curves` until less than that is left; then `pruned_heads`. */
  prune_to: { params: PruneToParams; buffer: null };
  /** `_saved_model`: the model without the pruned heads. */
  save_model: { params: SaveModelParams; buffer: null };
  /** `_interactions` of the whole model on the image, by the selected metric. */
  interactions: { params: Empty; buffer: null };
  /** `_importance_before`, where heads were pruned before all were measured. */
  importance_before: { params: Empty; buffer: null };
  /** `_strength_data`: how far the heads attend on the image as it is shown. */
  strength: { params: Empty; buffer: null };
  /** `_strength_set`: entropy of the heads on all images of the set. */
  strength_set: { params: Empty; buffer: null };
  /** `_layer_decisions`: what would be decided after each layer. */
  layer_decisions: { params: Empty; buffer: null };
  /** `_overview` and `_thumbnails` in order. */
  images: { params: Empty; buffer: null };
  /** `_overview` laid out by which heads matter. */
  overview: { params: MetricParams; buffer: null };
  /** An image of the set as the model sees it. */
  image: { params: ImageParams; buffer: DataView };
  /** `_stored`, and what belongs to it, as far as the folder is filled by now. */
  stored_look: { params: Empty; buffer: null };
  /** `_stored_heads` and `_stored_points` by another quantity, or with a class. */
  stored_show: { params: StoredParams; buffer: null };
  /** Points of a part of the plane, where not all of them are drawn. */
  stored_points: { params: BoxParams; buffer: Encoded<StoredPoints, StoredPointsMetadata> };
  /** What a folder says of one of its images. */
  stored_image: { params: ImageParams; buffer: Encoded<StoredImage, StoredImageMetadata> };
  /** Small pictures of some of its images. */
  stored_pictures: { params: PicturesParams; buffer: Encoded<StoredPictures> };
  /** `_comparison` and `_comparison_maps`. */
  compare: { params: CompareParams; buffer: null };
  /** Look at a picture that was brought along, once all parts are there. */
  bring_picture: { params: BringParams; buffer: null };
  /** Look at one of `_brought` again. */
  brought_picture: { params: ImageParams; buffer: null };
  /** Other prompts for classes: the model is described anew. */
  prompts: { params: PromptParams; buffer: null };
  /** `faithfulness` of the selected map. */
  score_map: { params: Empty; buffer: null };
  /** `faithfulness` of the compared maps. */
  score_compared: { params: Empty; buffer: null };
  /** Stop scoring; what was scored stays. */
  cancel_scores: { params: Empty; buffer: null };
  /** `_patterns_info`: a map of attention patterns. */
  learn_patterns: { params: Empty; buffer: null };
  /** `_patterns_here`: the heads of the shown image on that map. */
  place_heads: { params: Empty; buffer: null };
  /** The points of a map. */
  pattern_map: { params: FamilyParams; buffer: Encoded<PatternMap> };
  /** Attention of every head on the shown image. */
  pattern_thumbnails: { params: FamilyParams; buffer: Encoded<PatternPictures> };
  /** One point of a map, decoded from its code. */
  pattern_at: { params: PointParams; buffer: Encoded<PatternPictures> };
  /** Stop what is being computed; what was found stays. */
  cancel_job: { params: Empty; buffer: null };
  /** Go on with what was stopped. */
  go_on: { params: Empty; buffer: null };
  /** The widget as a page of its own, in one file. */
  page: { params: Empty; buffer: DataView };
  /**
   * Nothing: that an answer comes, and at once, says that the widget has its kernel. Before it
   * comes an update, whose number tells how many there were.
   */
  alive: { params: Empty; buffer: null };
  /** All traits again, for a browser to which some updates never came. */
  all_traits: { params: Empty; buffer: null };
}
