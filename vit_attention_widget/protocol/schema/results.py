"""What was computed: the traits that go from the kernel to the browser."""

from __future__ import annotations

from typing import Literal, TypeAlias, TypedDict

from .binary import Encoded, Jpeg
from .selections import Head
from .tensors import (
    AttentionRows,
    BaselineMetadata,
    ComparisonMaps,
    ImportanceTables,
    LayerDecisionsMetadata,
    LayerDecisionsTensors,
    MapsByMethod,
    PatternsHere,
    RowsMetadata,
    StampMetadata,
    StoredHeads,
    StoredHeadsMetadata,
    StoredPoints,
    StoredPointsMetadata,
    StrengthOfSet,
    StrengthTensors,
    Thumbnails,
)

__all__ = [
    "Accuracy",
    "Areas",
    "BackupHead",
    "Brought",
    "Choice",
    "ClusterInfo",
    "Compared",
    "ComparedScores",
    "Comparison",
    "ComparisonRequest",
    "Curve",
    "Decision",
    "DecisionRow",
    "DecisionWithout",
    "Empty",
    "Faithfulness",
    "FamilyInfo",
    "FamilyName",
    "Interactions",
    "MapScores",
    "ModelFormat",
    "ModelInfo",
    "Overview",
    "PartialPruning",
    "PartialRow",
    "PatternsInfo",
    "Problem",
    "Results",
    "SavedModel",
    "Status",
    "StoredInfo",
    "WidgetTraits",
]


class Empty(TypedDict):
    """Nothing yet."""


# The model and its decision ----------------------------------------------------------------------


class Choice(TypedDict):
    """A method or metric that can be selected."""

    key: str
    label: str
    hint: str


class ModelInfo(TypedDict):
    """What the views must know of the model, the image, and of what is explained."""

    name: str

    image_name: str

    preparation: str
    """How the image became model input, and on what ground."""

    num_layers: int

    num_heads: list[int]
    """Heads of each layer."""

    prefix: list[str]
    """Names of the tokens before the first patch."""

    rows: int
    """Of patches."""

    cols: int
    """Of patches."""

    num_tokens: int
    """With the prefix tokens."""

    image_width: int
    """Of the model input, in pixels."""

    image_height: int
    """Of the model input, in pixels."""

    area: list[float]
    """Where the patches lie on the picture: top, left, bottom and right as shares of its height and
    width; beyond 0 or 1 where the model pads it."""

    class_names: list[str] | None

    num_classes: int
    """0 without a classifier."""

    output: Literal["softmax", "sigmoid", "value", "features"]
    """What the model's numbers stand for: one class of several; classes of which each is there or
    not; values that mean themselves; features."""

    takes_prompts: bool
    """Whether classes are prompts that can be typed."""

    by_class: bool
    """Whether a class is explained, and not another target."""

    methods: list[Choice]
    """Methods that can explain what is explained."""

    class_agnostic: list[str]
    """Keys of those whose map is the same whichever class is explained."""

    metrics: list[Choice]
    """Metrics of head importance that there are for it."""

    set_size: int
    """Images of the set, 0 without."""

    other_models: list[str]
    """Models to compare with."""


class DecisionRow(TypedDict):
    """A likely class."""

    index: int

    name: str

    before: float
    """Probability (of a model of values the value) with every head in place."""

    after: float | None
    """The same with the pruned heads masked; None where none is."""


class Decision(TypedDict):
    """What the model decides: with every head in place, and with the pruned heads masked."""

    target: int
    """Class that is explained; -1 if it is another target."""

    target_name: str

    follows_prediction: bool
    """Whether the predicted class is explained, whichever that is."""

    target_before: float
    """Probability of the class, or the value where it is one, or that of another target."""

    target_after: float | None
    """The same with the pruned heads masked; None where none is."""

    pruned: list[Head]

    rows: list[DecisionRow]
    """The five likeliest classes before, and after, the one that is likeliest now first; empty
    without a classifier."""


class DecisionWithout(TypedDict):
    """The decision with one head masked; in pages of their own."""

    target_after: float

    rows: list[DecisionRow]


# Heads -------------------------------------------------------------------------------------------


class Accuracy(TypedDict):
    """Share of the labeled images that are given their class.

    Of labels that say of each class whether it is there: the share of the decisions, image by image
    and class by class, that are right.
    """

    before: float

    after: float | None
    """With the pruned heads masked; None where none is, or not known yet."""

    count: int
    """Labeled images."""


class BackupHead(TypedDict):
    """A head that matters more once another is gone: means over the images."""

    gone: Head

    backup: Head

    importance: float
    """Of the backup while the other is in place."""

    change: float
    """How much more it matters once the other is gone."""


class Interactions(TypedDict):
    """Which heads take over from which, as far as it was measured."""

    metric: str

    target: str

    images: int

    of_image: bool
    """Whether it was measured on the image that is looked at; else it was given."""

    done: int
    """Heads that were gone so far."""

    total: int
    """Heads that will have been."""

    asks: bool
    """Whether it is being measured."""

    backups: list[BackupHead]
    """Those that gain most first."""


class PartialRow(TypedDict):
    """The decision with one part of a head's attention set to zero."""

    mode: str

    zeroed: list[list[bool]]
    """[[class-class, class-patch], [patch-class, patch-patch]], true where set to zero."""

    probability: float
    """Of the explained class; of a model of values the value."""

    top5: list[tuple[str, float]]
    """Likeliest classes with their probabilities, or the largest values."""


class PartialPruning(TypedDict):
    """What becomes of the decision without parts of one head's attention."""

    layer: int
    head: int
    rows: list[PartialRow]


class Curve(TypedDict):
    """A decision as ever more heads are masked."""

    name: str
    """Of the order, in words."""

    metric: Literal["probability", "accuracy"]

    values: list[float]
    """``values[n]`` is without the first n heads of ``order``."""

    order: list[Head]

    total: int
    """Heads that can go; there are fewer values while it is drawn, or when it was cancelled."""


ModelFormat: TypeAlias = Literal["safetensors", "ONNX"]


class SavedModel(TypedDict):
    """The model without the pruned heads, as a file where Python runs."""

    path: str

    heads: int
    """How many were pruned."""

    bytes: int


# The set of images -------------------------------------------------------------------------------


class Brought(TypedDict):
    """Pictures that were looked at beside those of the set: given, and brought in the browser."""

    names: list[str]
    """File names, or "image"."""

    shown: int
    """Which is looked at; -1 is none of them."""


class Overview(TypedDict):
    """All images of the set; lists are shorter while not everything is known."""

    total: int

    names: list[str]
    """File names, "" where an image has none; empty without any."""

    labels: list[int] | None
    """Classes that came with the images."""

    predicted: list[int]
    """Likeliest class of each image."""

    probability: list[float]
    """Of the predicted class; of a model of values the value."""

    points: list[tuple[float, float]]
    """In the plane, y upwards; empty until the images were laid out."""

    layout: str
    """What the points are: "t-SNE", "principal components" or "in order"."""

    metric: str
    """Of the head importance that the points were made from; "" before."""

    measuring: str
    """The metric that is being measured, "" when none is."""

    done: int
    """Images measured so far."""


class StoredInfo(TypedDict):
    """A folder that a long run fills with numbers of images, as far as it is by now."""

    folder: str

    function: str
    """What fills it."""

    options: str
    """What was asked of that beside its defaults, in words."""

    count: int
    """Images that are there."""

    total: int | None
    """How many there will be, where that is known."""

    rate: float
    """Images a second lately; 0 where no more come, and where it is not known."""

    last: float
    """When the last images came, in seconds since the epoch; 0 where there are none."""

    quantities: list[str]
    """What is known of every image and head: metrics of importance, or how far heads attend."""

    quantity: str
    """That which is shown; "" until something was read."""

    of_class: int
    """The class that is shown by itself; -1 is none."""

    read: int
    """Images that were read by that quantity."""

    skipped: int
    """Of those images, how many could not be computed."""

    has_files: bool
    """Whether it names the files of its images, which can then be looked at."""

    classes: list[tuple[int, int]]
    """Classes, and how many images are of each, the most first; at most a thousand of them."""

    classes_in_all: int
    """Of how many classes there are images."""

    problem: str
    """Why it cannot be read, or is not shown; "" while it can."""


# Maps beside each other --------------------------------------------------------------------------

Compared: TypeAlias = Literal["methods", "classes", "layers", "images", "models"]
"""In what the maps of a comparison may differ."""


class ComparisonRequest(TypedDict):
    """A comparison that was asked for and is not there yet."""

    of: Compared

    method: str

    classes: list[int]
    """Classes beside the likely ones."""

    asked: Compared | Literal[""]
    """What is being compared, "" when nothing is."""


class Comparison(ComparisonRequest):
    """What was compared; its maps come as ``_comparison_maps``."""

    names: list[str]

    keys: list[str | int]
    """What a click on each selects: a method, class, layer or image; a model's number."""

    notes: list[str]
    """The probability of a class, the class of an image or of a model."""

    files: list[str]
    """File names of images; empty without any."""

    correlation: list[list[float | None]]
    """Rank correlation [item][item], -1 to 1; None where a map is the same everywhere."""

    skipped: dict[str, str]
    """Methods that do not work here, and why."""

    target: str
    """The class that is explained."""

    total: int
    """How many there are: of many images only the first are compared."""

    area: list[float]
    """Where the maps lie on the picture, as in the model's own."""

    version: int

    stamp: int
    """Which maps it belongs to."""


Areas: TypeAlias = tuple[float, float]
"""Mean height of the insertion and of the deletion curve, 0 to 1 for a class."""


class MapScores(TypedDict):
    """Scores of one map ("map"), and of what knows nothing of the model beside it."""

    method: str

    layer: int

    target: str

    by_class: bool
    """Whether that is a class, and the curves are its probability."""

    version: int

    fractions: list[float]
    """Share of the patches that is shown, or hidden."""

    insertion: dict[str, list[float]]

    deletion: dict[str, list[float]]

    areas: dict[str, Areas]


class ComparedScores(TypedDict):
    """Scores of the compared maps."""

    stamp: int
    """Of the comparison."""

    areas: list[dict[str, Areas] | None]
    """Of each map ("map") and of its baselines; None where not scored yet."""


class Faithfulness(TypedDict, total=False):
    """Insertion and deletion, as far as they were asked for."""

    asked: Literal["", "map", "compared"]
    """What is being scored, "" when nothing is."""

    map: MapScores

    compared: ComparedScores


# Patterns of attention ---------------------------------------------------------------------------

FamilyName: TypeAlias = Literal["patches", "class"]
"""Attention among patches, or of the class token to them."""


class ClusterInfo(TypedDict):
    """Heads that attend alike."""

    name: str

    size: int
    """Heads, those of every image counted."""

    scores: dict[str, float]
    """How much its heads do each thing, 0 to 1."""

    layers: list[tuple[int, int]]
    """Layers, and how many of its heads are in each."""


class FamilyInfo(TypedDict):
    """A map of heads, and how good it is."""

    points: int

    images: int
    """Images that the map was learned from."""

    error: float
    """Mean squared error with which the codes reconstruct the patterns."""

    pca_error: float
    """The same of a PCA with as many components."""

    stability: float | None
    """How far clusters agree over seeds (adjusted Rand index); None where not measured."""

    clusters: list[ClusterInfo]


class PatternsInfo(TypedDict):
    """The map of attention patterns; no family without one."""

    version: int
    """Grows with every new map."""

    families: dict[str, FamilyInfo]
    """By ``FamilyName``."""


# What is going on --------------------------------------------------------------------------------


class Problem(TypedDict):
    """What went wrong."""

    message: str

    hint: str
    """What to do, "" where that is in the message."""

    details: str
    """Traceback of what nobody expected, else ""."""


class Status(TypedDict):
    """What is being computed."""

    state: Literal["idle", "computing", "error"]

    label: str
    """What, in words; "" when nothing is."""

    progress: float | None
    """0 to 1; None where it is not known."""

    error: Problem | None

    milliseconds: float | None
    """That the last result took, waiting included."""

    paused: list[str]
    """How far what the user stopped had come, e.g. "34 of 144 heads"; it may go on."""


# The traits --------------------------------------------------------------------------------------


class Results(TypedDict):
    """What goes from the kernel to the browser; the browser may not change it."""

    decision: Decision | Empty

    accuracy: Accuracy | Empty
    """Empty without labels."""

    _interactions: Interactions | Empty
    """Empty until asked for, or given."""

    partial: PartialPruning | Empty
    """Empty until asked for."""

    curves: dict[str, Curve]
    """By order; those that were asked for."""

    _saved_model: SavedModel | Empty
    """Empty unless the model was saved as it is pruned now."""

    faithfulness: Faithfulness

    status: Status

    _version: int
    """Grows with every new trace; 0 before the first."""

    _model_info: ModelInfo | Empty

    _picture: Jpeg
    """What the model sees."""

    _maps: Encoded[MapsByMethod, None]
    """All methods, or where they are large the selected one."""

    _attention_rows: Encoded[AttentionRows, RowsMetadata]
    """Of the selected token."""

    _importance_data: Encoded[ImportanceTables, BaselineMetadata]

    _importance_before: Encoded[ImportanceTables, BaselineMetadata]
    """With every head in place, while some are pruned; empty otherwise, and where it was not
    measured."""

    _strength_data: Encoded[StrengthTensors, None]
    """Of the image as it is shown; empty until asked for."""

    _strength_set: Encoded[StrengthOfSet, None]
    """Empty until asked for."""

    _layer_decisions: Encoded[LayerDecisionsTensors, LayerDecisionsMetadata]
    """Empty until asked for."""

    _overview: Overview | Empty
    """Empty until asked for."""

    _thumbnails: Encoded[Thumbnails, None]
    """Empty until asked for, and where there are too many images."""

    _stored: StoredInfo | Empty
    """Empty unless the image set is a folder that a long run fills."""

    _stored_heads: Encoded[StoredHeads, StoredHeadsMetadata]
    """Every head over all its images; empty until something was read."""

    _stored_points: Encoded[StoredPoints, StoredPointsMetadata]
    """Its images as points; empty until something was read."""

    _brought: Brought

    _brought_thumbnails: Encoded[Thumbnails, None]
    """Of those pictures, in their order."""

    _comparison: Comparison | ComparisonRequest | Empty
    """Empty until asked for."""

    _comparison_maps: Encoded[ComparisonMaps, StampMetadata]

    _patterns_info: PatternsInfo | Empty

    _patterns_here: Encoded[PatternsHere, None]
    """Empty until asked for."""


class WidgetTraits(TypedDict):
    """What a widget says of itself, whichever session it shows."""

    _widget_id: str
    """Unlike that of any other widget: by it a view finds what other views of it hold."""

    _bundle: str | None
    """In notebooks, the model that has the browser's code of all such widgets: ``IPY_MODEL_`` and
    its id. Elsewhere each widget has its own."""

    _update: int
    """Each update of the widget's traits has the next number."""

    _more: str | None
    """In notebooks, the same of panels that are not open at first; null until the cell that made
    the widget has run, and where a widget has all its code."""
