"""What is inside binary data: named tensors with their axes."""

from __future__ import annotations

from typing import Annotated, TypeAlias, TypedDict

from .binary import Float, Float32, Uint8, Uint16, Uint32
from .selections import Direction

__all__ = [
    "AttentionLayer",
    "AttentionRows",
    "BaselineMetadata",
    "ComparisonMaps",
    "ImportanceTables",
    "LayerDecisionsMetadata",
    "LayerDecisionsTensors",
    "MapsByMethod",
    "PatternMap",
    "PatternPictures",
    "PatternsHere",
    "RowsMetadata",
    "StampMetadata",
    "StoredHeads",
    "StoredHeadsMetadata",
    "StoredImage",
    "StoredImageMetadata",
    "StoredPictures",
    "StoredPoints",
    "StoredPointsMetadata",
    "StrengthOfSet",
    "StrengthTensors",
    "Thumbnails",
]


class AttentionRows(TypedDict):
    """Attention of one token in every head: its row or column, ``rows / 255 * scale``.

    Of all layers, or of some that follow each other where all would be too much at once.
    """

    rows: Annotated[Uint8, "layer, head, token"]
    """Heads that a layer lacks are 0."""

    scale: Annotated[Float32, "layer, head"]
    """Largest value of the row."""


class RowsMetadata(TypedDict):
    """Which rows they are."""

    token: int
    direction: Direction

    first_layer: int
    """The first of their layers."""


class AttentionLayer(TypedDict):
    """Attention of every head of a layer: ``attention / 255 * scale``."""

    attention: Annotated[Uint8, "head, query, key"]

    scale: Annotated[Float32, "head, query"]
    """Largest value of the row."""


MapsByMethod: TypeAlias = dict[str, Annotated[Float32, "layer, row, col"]]
"""Maps by method, not normalized; ``"daam.before"`` is without the pruned heads masked."""


ImportanceTables: TypeAlias = dict[str, Annotated[Float32, "layer, head"]]
"""Importance by metric; NaN where not known yet, no such head, or pruned."""


class BaselineMetadata(TypedDict):
    """What importance is relative to."""

    baseline: float
    """Probability of the class, or value of the target, with no further head masked."""


class StrengthOfHeads(TypedDict):
    """How strongly heads attend near and far; NaN where a layer has no such head."""

    profile: Annotated[Float32, "layer, head, hop"]
    """Mean attention over all pairs of patches so many hops apart; hop 0 is the patch itself."""

    entropy: Annotated[Float32, "layer, head"]
    """Of the profile scaled to sum to 1, in nats."""

    distance: Annotated[Float32, "layer, head"]
    """Mean attention distance between patches, in pixels of the model input."""


class StrengthTensors(StrengthOfHeads, total=False):
    """The same, and shares of attention, 0 to 1, where there is a class token."""

    class_to_class: Annotated[Float32, "layer, head"]
    """Of the class token to itself."""

    class_to_patches: Annotated[Float32, "layer, head"]
    """Of the class token to all patches."""

    patches_to_class: Annotated[Float32, "layer, head"]
    """Of the mean patch to the class token."""


class StrengthOfSet(TypedDict):
    """Entropy of every head on each image of the set."""

    entropy: Annotated[Float32, "image, layer, head"]
    """As in ``StrengthOfHeads``, in nats."""


class LayerDecisionsTensors(TypedDict, total=False):
    """What the model would decide after each layer, read out by its own norm and head.

    Values are probabilities, or of a model of values the values. Empty where that is refused.
    """

    classes: Annotated[Float32, "line"]
    """Numbers of the classes that are followed through the layers."""

    lines: Annotated[Float32, "line, layer"]
    """Their values, with the pruned heads masked."""

    lines_before: Annotated[Float32, "line, layer"]
    """The same with every head in place; only where some are pruned."""

    best: Annotated[Float32, "layer, rank"]
    """Of the likeliest classes after each layer, the likeliest first."""

    best_classes: Annotated[Float32, "layer, rank"]
    """Numbers of those classes."""

    patch_values: Annotated[Float32, "layer, row, col, rank"]
    """Of the likeliest classes by each patch alone; not where patches cannot be read out."""

    patch_classes: Annotated[Float32, "layer, row, col, rank"]
    """Numbers of those classes."""

    patch_target: Annotated[Float32, "layer, row, col"]
    """Of what is explained, by each patch alone."""


class LayerDecisionsMetadata(TypedDict):
    """What was read out, and what could not be."""

    version: int
    """``_version`` of the trace."""

    target: int
    """Class that is explained; -1 if it is another target."""

    target_name: str

    refused: str
    """Why no layer can be read out; "" where it can."""

    patches_refused: str
    """Why no patch can be read out by itself; "" where it can."""


class Thumbnails(TypedDict):
    """Small pictures of the images of the set."""

    thumbnails: Annotated[Uint8, "image, row, col, channel"]
    """RGB."""


class StoredOfHeads(TypedDict):
    """Every head over all images of a folder."""

    mean: Annotated[Float32, "layer, head"]
    """NaN where a layer has no such head."""

    bins: Annotated[Float32, "layer, head, bin"]
    """How many images have a value in each bin; even bins of its square root, sign kept."""


class StoredHeads(StoredOfHeads, total=False):
    """The same, and over the images of one class."""

    class_mean: Annotated[Float32, "layer, head"]
    class_bins: Annotated[Float32, "layer, head, bin"]


class StoredHeadsMetadata(TypedDict):
    """What the values are, and where the bins lie."""

    quantity: str

    of_class: int
    """-1 is none."""

    images: int
    """How many they are of."""

    low: float
    """Square root, sign kept, where the first bin begins."""

    high: float
    """The same where the last bin ends."""


class StoredPlaces(TypedDict):
    """Images of a folder as points: all in order, or of very many a fixed choice."""

    places: Annotated[Uint16, "point, xy"]
    """From 0 to 65535 within the box of the metadata, y upwards."""

    classes: Annotated[Uint16, "point"]
    """65535 is none."""


class StoredPoints(StoredPlaces, total=False):
    """The same, and which images they are where they are not all."""

    images: Annotated[Uint32, "point"]
    """Number of each point's image."""


class StoredPointsMetadata(TypedDict):
    """Where the points lie: all of them, and those shown at first."""

    left: float
    right: float
    bottom: float
    top: float
    home_left: float
    home_right: float
    home_bottom: float
    home_top: float

    share: float
    """Of the variance among images that the plane shows, 0 to 1."""

    total: int
    """Images that were laid out."""


class StoredImage(TypedDict):
    """One image of a folder."""

    values: Annotated[Float32, "layer, head"]


class StoredImageMetadata(TypedDict):
    """What it is."""

    name: str

    of_class: int
    """-1 is none."""

    probability: float
    """Of that class, or the value of the target; NaN where it is not known."""

    why_not: str
    """Why it cannot be looked at; "" where it can."""


class StoredPictures(TypedDict):
    """Small pictures of images of a folder, of those whose files can be read."""

    thumbnails: Annotated[Uint8, "picture, row, col, channel"]
    """RGB."""

    images: Annotated[Uint32, "picture"]


class ComparedMaps(TypedDict):
    """Compared maps, not normalized."""

    maps: Annotated[Float, "item, row, col"]


class ComparisonMaps(ComparedMaps, total=False):
    """Compared maps; in float16 each is divided by its scale."""

    scale: Annotated[Float32, "item"]
    """Largest absolute value of the map; only with float16."""


class StampMetadata(TypedDict):
    """To which comparison the maps belong: the two come in messages of their own."""

    stamp: int


class PatternPictures(TypedDict):
    """Attention as pictures, each square part relative to its own largest value: 255."""

    pictures: Annotated[Uint8, "item, row, col"]


class PatternMap(PatternPictures):
    """All heads of all images as points; the pictures are the mean patterns of the clusters."""

    points: Annotated[Float, "point, xy"]
    """From -1 to 1; image by image, each with the heads in order."""

    labels: Annotated[Uint8, "point"]
    """Cluster of each point."""

    distances: Annotated[Float, "head, head"]
    """Distance of heads from each other, over all images."""


class PatternsHere(TypedDict, total=False):
    """Where the heads of the shown image lie on the map of each family."""

    patches_points: Annotated[Float32, "head, xy"]
    patches_labels: Annotated[Uint8, "head"]
    class_points: Annotated[Float32, "head, xy"]
    class_labels: Annotated[Uint8, "head"]
