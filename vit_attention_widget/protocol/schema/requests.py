"""What the browser asks, and how the kernel replies.

A request is a custom message, and gets exactly one reply. What takes long is started by a request
whose reply carries nothing; its result comes as a trait.
"""

from __future__ import annotations

from typing import Generic, Literal, TypeAlias, TypedDict, TypeVar

from .binary import Encoded, Html, Jpeg
from .results import Compared, Empty, FamilyName, ModelFormat
from .selections import Direction
from .tensors import (
    AttentionLayer,
    AttentionRows,
    PatternMap,
    PatternPictures,
    RowsMetadata,
    StoredImage,
    StoredImageMetadata,
    StoredPictures,
    StoredPoints,
    StoredPointsMetadata,
)

__all__ = [
    "MOST_BYTES",
    "AnswerMessage",
    "AnswerMeta",
    "Asks",
    "CancelMessage",
    "CancelledMessage",
    "ErrorMessage",
    "FailureMessage",
    "ReplyMessage",
    "RequestMessage",
    "Requests",
]

MOST_BYTES: int = 64_000_000
"""Of the file of a picture that is brought along in the browser."""

# Messages ----------------------------------------------------------------------------------------


class RequestMessage(TypedDict):
    """A question from the browser."""

    id: str
    """Unlike that of any other."""

    method: str
    """Name of one of the requests."""

    params: dict[str, object]


class CancelMessage(TypedDict):
    """The browser no longer wants the reply to a request."""

    cancel: str
    """Id of the request."""


class AnswerMeta(TypedDict):
    """What every answer says of itself."""

    version: int
    """``_version`` when the request came."""


class AnswerMessage(TypedDict):
    """What was asked for; what is binary travels as the message's only buffer."""

    id: str
    ok: Literal[True]
    meta: AnswerMeta


class ErrorMessage(TypedDict):
    """What went wrong, and what to do."""

    message: str


class FailureMessage(TypedDict):
    """The request could not be answered."""

    id: str | None
    """None if the message had none."""

    error: ErrorMessage


class CancelledMessage(TypedDict):
    """The request was cancelled, or something newer took its place."""

    id: str
    cancelled: Literal[True]


ReplyMessage: TypeAlias = AnswerMessage | FailureMessage | CancelledMessage


# Parameters --------------------------------------------------------------------------------------


class LayerParams(TypedDict):
    """Which layer."""

    layer: int


class RowsParams(TypedDict):
    """Of which token; the selection itself may still be on its way."""

    token: int
    direction: Direction


class MoreRowsParams(RowsParams):
    """And in which layer."""

    layer: int


class HeadParams(TypedDict):
    """Which head."""

    layer: int
    head: int


class CurveParams(TypedDict):
    """In which order heads go."""

    order: str
    """One of ``ORDERS``: a metric of head importance, "random", ..."""


class PruneToParams(TypedDict):
    """How far to prune, and in which order."""

    order: str
    """One of ``ORDERS``."""

    fall: int
    """By so many percent what is left may fall, 0 to 99."""


class SaveModelParams(TypedDict):
    """As which kind of file."""

    format: ModelFormat


class MetricParams(TypedDict):
    """By which metric of head importance."""

    metric: str


class ImageParams(TypedDict):
    """Which image of the set, or of those that were brought."""

    index: int


class StoredParams(TypedDict):
    """What to show of a folder."""

    quantity: str

    of_class: int
    """A class by itself; -1 is none."""


class BoxParams(TypedDict):
    """Which part of the plane."""

    left: float
    right: float
    bottom: float
    top: float


class PicturesParams(TypedDict):
    """Which images, at most 16."""

    images: list[int]


class ComparisonKind(TypedDict):
    """In what the maps differ."""

    of: Compared


class CompareParams(ComparisonKind, total=False):
    """What to compare."""

    method: str
    """By default the selected one."""

    classes: list[int]
    """Classes beside the likely ones."""


class BringParams(TypedDict):
    """A part of a picture's file, which is the buffer of the request; they come in their order."""

    upload: str
    """Unlike that of any other file."""

    name: str
    """Of the file."""

    part: int

    parts: int
    """How many there are."""


class PromptParams(TypedDict):
    """Prompts that stand for classes."""

    prompts: list[str]


class FamilyParams(TypedDict):
    """Which map of attention patterns."""

    family: FamilyName


class PointParams(TypedDict):
    """Which point of which map."""

    family: FamilyName
    index: int


# Requests ----------------------------------------------------------------------------------------

Params = TypeVar("Params")
Buffer = TypeVar("Buffer")


class Asks(Generic[Params, Buffer]):
    """A request with these parameters; the buffer of its answer, or None."""


class Requests(TypedDict):
    """Every request by its name."""

    attention: Asks[LayerParams, Encoded[AttentionLayer, None]]
    """Attention of a whole layer."""

    rows: Asks[RowsParams, None]
    """``_attention_rows`` of the selected token, where the browser does not hold them."""

    more_rows: Asks[MoreRowsParams, Encoded[AttentionRows, RowsMetadata]]
    """Those of a layer, and of others that come with it, where all were too much at once."""

    partial: Asks[HeadParams, None]
    """``partial``: the decision without parts of a head's attention."""

    curve: Asks[CurveParams, None]
    """``curves``: the decision as ever more heads are masked."""

    prune_to: Asks[PruneToParams, None]
    """``curves`` until less than that is left; then ``pruned_heads``."""

    save_model: Asks[SaveModelParams, None]
    """``_saved_model``: the model without the pruned heads."""

    interactions: Asks[Empty, None]
    """``_interactions`` of the whole model on the image, by the selected metric."""

    importance_before: Asks[Empty, None]
    """``_importance_before``, where heads were pruned before all were measured."""

    strength: Asks[Empty, None]
    """``_strength_data``: how far the heads attend on the image as it is shown."""

    strength_set: Asks[Empty, None]
    """``_strength_set``: entropy of the heads on all images of the set."""

    layer_decisions: Asks[Empty, None]
    """``_layer_decisions``: what would be decided after each layer."""

    images: Asks[Empty, None]
    """``_overview`` and ``_thumbnails`` in order."""

    overview: Asks[MetricParams, None]
    """``_overview`` laid out by which heads matter."""

    image: Asks[ImageParams, Jpeg]
    """An image of the set as the model sees it."""

    stored_look: Asks[Empty, None]
    """``_stored``, and what belongs to it, as far as the folder is filled by now."""

    stored_show: Asks[StoredParams, None]
    """``_stored_heads`` and ``_stored_points`` by another quantity, or with a class."""

    stored_points: Asks[BoxParams, Encoded[StoredPoints, StoredPointsMetadata]]
    """Points of a part of the plane, where not all of them are drawn."""

    stored_image: Asks[ImageParams, Encoded[StoredImage, StoredImageMetadata]]
    """What a folder says of one of its images."""

    stored_pictures: Asks[PicturesParams, Encoded[StoredPictures, None]]
    """Small pictures of some of its images."""

    compare: Asks[CompareParams, None]
    """``_comparison`` and ``_comparison_maps``."""

    bring_picture: Asks[BringParams, None]
    """Look at a picture that was brought along, once all parts are there."""

    brought_picture: Asks[ImageParams, None]
    """Look at one of ``_brought`` again."""

    prompts: Asks[PromptParams, None]
    """Other prompts for classes: the model is described anew."""

    score_map: Asks[Empty, None]
    """``faithfulness`` of the selected map."""

    score_compared: Asks[Empty, None]
    """``faithfulness`` of the compared maps."""

    cancel_scores: Asks[Empty, None]
    """Stop scoring; what was scored stays."""

    learn_patterns: Asks[Empty, None]
    """``_patterns_info``: a map of attention patterns."""

    place_heads: Asks[Empty, None]
    """``_patterns_here``: the heads of the shown image on that map."""

    pattern_map: Asks[FamilyParams, Encoded[PatternMap, None]]
    """The points of a map."""

    pattern_thumbnails: Asks[FamilyParams, Encoded[PatternPictures, None]]
    """Attention of every head on the shown image."""

    pattern_at: Asks[PointParams, Encoded[PatternPictures, None]]
    """One point of a map, decoded from its code."""

    cancel_job: Asks[Empty, None]
    """Stop what is being computed; what was found stays."""

    go_on: Asks[Empty, None]
    """Go on with what was stopped."""

    page: Asks[Empty, Html]
    """The widget as a page of its own, in one file."""

    alive: Asks[Empty, None]
    """Nothing: that an answer comes, and at once, says that the widget has its kernel. Before it
    comes an update, whose number tells how many there were."""

    all_traits: Asks[Empty, None]
    """All traits again, for a browser to which some updates never came."""
