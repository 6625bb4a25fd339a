"""The traits that sessions and widgets share; ``sync`` marks those that the browser has too.

A trait that only the browser reads begins with an underscore: its public reading in Python is a
property of the session. What a trait holds in detail is said in ``protocol.schema``, whose types
are given here as what is read (once it is there), and what may be set.
"""

from __future__ import annotations

from typing import Any, SupportsIndex, TypedDict, TypeVar

import numpy as np
import traitlets
from numpy.typing import NDArray
from traitlets import TraitType

from ..models.head_index import HeadsLike
from ..protocol.schema.results import (
    Accuracy,
    Brought,
    Comparison,
    ComparisonRequest,
    Curve,
    Decision,
    Empty,
    Faithfulness,
    Interactions,
    ModelInfo,
    Overview,
    PartialPruning,
    PatternsInfo,
    SavedModel,
    Status,
    StoredInfo,
)
from ..protocol.schema.selections import (
    Colormap,
    Direction,
    Head,
    Interpolation,
    Overlay,
    Scale,
    StepHistory,
)
from .observers import LoggedObservers

__all__ = [
    "OPTIONS",
    "RESULTS",
    "SELECTIONS",
    "ResultTraits",
    "SelectionTraits",
    "Selections",
    "SessionTraits",
]


_Get = TypeVar("_Get")
_Set = TypeVar("_Set")


def _checked(default: _Set) -> TraitType[_Get, _Set]:
    """A trait that takes what the session's validator lets through: Any would let None through."""
    return TraitType[_Get, _Set](default).tag(sync=True)


def _dict() -> TraitType[_Get, _Set]:
    trait: TraitType[Any, Any] = traitlets.Dict()  # which knows no TypedDict
    return trait.tag(sync=True)


class Selections(TypedDict, total=False):
    """The selections that sessions and widgets take by name; :class:`SelectionTraits` says more."""

    selected_layer: SupportsIndex
    selected_head: SupportsIndex
    selected_token: SupportsIndex
    selected_image: SupportsIndex
    direction: Direction
    pruned_heads: HeadsLike
    method: str
    metric: str
    colormap: Colormap
    opacity: float
    interpolation: Interpolation
    scale: Scale
    overlay: Overlay


class SelectionTraits(LoggedObservers):
    """What is selected; goes both ways between kernel and browser. The session validates it."""

    target: TraitType[int | None, SupportsIndex | str | None] = traitlets.Any(None).tag(sync=True)
    """Class that is explained; may be set by name, or to None for the predicted class."""

    selected_layer: TraitType[int, SupportsIndex] = _checked(0)
    """Layer, from 0."""

    selected_head: TraitType[int, SupportsIndex] = _checked(0)
    """Head of the layer, from 0; -1 is the mean of the heads."""

    selected_token: TraitType[int, SupportsIndex] = _checked(0)
    """Index in the sequence; prefix tokens come first."""

    selected_image: TraitType[int, SupportsIndex] = _checked(-1)
    """Which image of the set is looked at; -1 is the one that was given."""

    direction: TraitType[Direction, Direction] = _checked("attends_to")
    """Whether the token's row of the attention is shown (attends_to), or its column."""

    _history: TraitType[StepHistory, StepHistory] = _checked({"pruned": [], "undo": [], "redo": []})
    """The pruned heads with the steps that were taken, see ``undo`` and ``redo``."""

    pruned_heads: TraitType[list[Head], HeadsLike] = _checked(())
    """Sorted list of (layer, head); may be set to ``{layer: [heads]}``."""

    method: TraitType[str, str] = _checked("daam")
    """One of the explainers."""

    metric: TraitType[str, str] = _checked("probability")
    """One of the metrics of head importance that need no set of images."""

    colormap: TraitType[Colormap, Colormap] = _checked("viridis")
    """One of viridis, cividis and magma."""

    opacity: TraitType[float, float] = _checked(0.6)
    """Of the map over the picture, in [0, 1]."""

    interpolation: TraitType[Interpolation, Interpolation] = _checked("bilinear")
    """Of the map over the picture: bilinear or nearest."""

    scale: TraitType[Scale, Scale] = _checked("shared")
    """How the layers' maps share a color scale: shared, layer or sigmoid."""

    overlay: TraitType[Overlay, Overlay] = _checked("explanation")
    """What lies on the Explorer's picture: explanation, attention or plain."""


class ResultTraits(traitlets.HasTraits):
    """What was computed; goes from the session to widgets, and from there to the browser."""

    importance: TraitType[NDArray[np.float32] | None, NDArray[np.float32] | None] = traitlets.Any(
        None
    )
    """Array [layer, head] of the selected metric; NaN where not known (yet), and for pruned heads.
    For Python only: the browser gets all metrics in ``_importance_data``."""

    decision: TraitType[Decision, Decision | Empty] = _dict()
    """The explained target, and the likely classes, before and after pruning; empty until known."""

    accuracy: TraitType[Accuracy, Accuracy | Empty] = _dict()
    """Accuracy on the labeled set before and after pruning; empty without labels."""

    partial: TraitType[PartialPruning, PartialPruning | Empty] = _dict()
    """The decision with parts of one head's attention set to zero; empty until asked for."""

    curves: TraitType[dict[str, Curve], dict[str, Curve]] = _dict()
    """The decision as ever more heads are removed, by the order in which they go."""

    _saved_model: TraitType[SavedModel, SavedModel | Empty] = _dict()
    """Where the model without the pruned heads was saved; empty where it was not."""

    faithfulness: TraitType[Faithfulness, Faithfulness] = _dict()
    """Insertion and deletion of the shown map and of compared maps; empty until asked for."""

    status: TraitType[Status, Status] = _dict()
    """What is being computed, how far it is, and what failed last."""

    _version = traitlets.Int(0).tag(sync=True)
    """Grows with every new trace."""

    _model_info: TraitType[ModelInfo, ModelInfo | Empty] = _dict()
    """The model, its tokens, and which methods and metrics there are."""

    _picture = traitlets.Bytes(b"").tag(sync=True)
    """JPEG of what the model sees."""

    _maps = traitlets.Bytes(b"").tag(sync=True)
    """Maps by method, each [layer, row, col]."""

    _attention_rows = traitlets.Bytes(b"").tag(sync=True)
    """Attention of the selected token in every head."""

    _importance_data = traitlets.Bytes(b"").tag(sync=True)
    """Importance of heads by metric, each [layer, head]."""

    _importance_before = traitlets.Bytes(b"").tag(sync=True)
    """The same with every head in place, while some are pruned."""

    _interactions: TraitType[Interactions, Interactions | Empty] = _dict()
    """Which heads take over from which."""

    _strength_data = traitlets.Bytes(b"").tag(sync=True)
    """Entropy, distance and strength by distance of every head, on the image as it is shown."""

    _strength_set = traitlets.Bytes(b"").tag(sync=True)
    """Entropy [image, layer, head] over the set of images."""

    _layer_decisions = traitlets.Bytes(b"").tag(sync=True)
    """What the model would decide after each layer, and each patch in it."""

    _overview: TraitType[Overview, Overview | Empty] = _dict()
    """Names, labels, predictions and places of the images of the set."""

    _thumbnails = traitlets.Bytes(b"").tag(sync=True)
    """Small pictures [image, row, col, 3] of the set; none where there are too many."""

    _stored: TraitType[StoredInfo, StoredInfo | Empty] = _dict()
    """A folder that a long run fills with numbers of images, as far as it is by now."""

    _stored_heads = traitlets.Bytes(b"").tag(sync=True)
    """Mean and histogram of every head over its images."""

    _stored_points = traitlets.Bytes(b"").tag(sync=True)
    """Its images as points."""

    _brought: TraitType[Brought, Brought] = _checked({"names": [], "shown": -1})
    """Pictures that were looked at beside those of the set: given, and brought in the browser."""

    _brought_thumbnails = traitlets.Bytes(b"").tag(sync=True)
    """Small pictures [image, row, col, 3] of them."""

    _comparison: TraitType[Comparison, Comparison | ComparisonRequest | Empty] = _dict()
    """What is compared, and rank correlations of the maps."""

    _comparison_maps = traitlets.Bytes(b"").tag(sync=True)
    """The compared maps [item, row, col]."""

    _patterns_info: TraitType[PatternsInfo, PatternsInfo | Empty] = _dict()
    """Clusters of the map of attention patterns, and how well it was learnt."""

    _patterns_here = traitlets.Bytes(b"").tag(sync=True)
    """Where the heads of the image, as it is shown, lie on that map."""


class SessionTraits(SelectionTraits, ResultTraits):
    """All traits of a session."""


def _names(traits: type[traitlets.HasTraits]) -> tuple[str, ...]:
    return tuple(name for name, t in vars(traits).items() if isinstance(t, traitlets.TraitType))


SELECTIONS = _names(SelectionTraits)
"""Names of the selections, in the order in which those that come together are taken."""

OPTIONS = tuple(name for name in SELECTIONS if not name.startswith("_"))
"""Selections that a user may give by name."""

RESULTS = tuple(name for name in _names(ResultTraits) if name != "importance")
"""Names of the results that go to the browser."""
