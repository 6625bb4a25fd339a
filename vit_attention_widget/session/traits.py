"""The traits that sessions and widgets share; ``sync`` marks those that the browser has too.

A trait that only the browser reads begins with an underscore: its public reading in Python is a
property of the session.
"""

from __future__ import annotations

import traitlets

__all__ = ["RESULTS", "SELECTIONS", "ResultTraits", "SelectionTraits", "SessionTraits"]


class SelectionTraits(traitlets.HasTraits):
    """What is selected; goes both ways between kernel and browser. The session validates it."""

    target = traitlets.Any(None, allow_none=True).tag(sync=True)
    """Class that is explained; may be set by name, or to None for the predicted class."""

    selected_layer = traitlets.Any(0).tag(sync=True)
    """Layer, from 0."""

    selected_head = traitlets.Any(0).tag(sync=True)
    """Head of the layer, from 0; -1 is the mean of the heads."""

    selected_token = traitlets.Any(0).tag(sync=True)
    """Index in the sequence; prefix tokens come first."""

    selected_image = traitlets.TraitType[int, int](-1).tag(sync=True)  # Any takes None unchecked
    """Which image of the set is looked at; -1 is the one that was given."""

    direction = traitlets.Any("looks_at").tag(sync=True)
    """Whether the token's row of the attention is shown (looks_at), or its column."""

    pruned_heads = traitlets.Any(()).tag(sync=True)
    """Sorted list of (layer, head); may be set to ``{layer: [heads]}``."""

    method = traitlets.Any("daam").tag(sync=True)
    """One of the explainers."""

    metric = traitlets.Any("probability").tag(sync=True)
    """One of the metrics of head importance that need no set of images."""

    colormap = traitlets.Any("viridis").tag(sync=True)
    """One of viridis, cividis and magma."""

    opacity = traitlets.Any(0.6).tag(sync=True)
    """Of the map over the picture, in [0, 1]."""

    interpolation = traitlets.Any("bilinear").tag(sync=True)
    """Of the map over the picture: bilinear or nearest."""

    scale = traitlets.Any("shared").tag(sync=True)
    """How the layers' maps share a color scale: shared, layer or sigmoid."""


class ResultTraits(traitlets.HasTraits):
    """What was computed; goes from the session to widgets, and from there to the browser."""

    importance = traitlets.Any(None)
    """Array [layer, head] of the selected metric; NaN where not known (yet), and for pruned heads.
    For Python only: the browser gets all metrics in ``_importance_data``."""

    decision = traitlets.Dict().tag(sync=True)
    """The explained target, and the likely classes, before and after pruning; empty until known."""

    accuracy = traitlets.Dict().tag(sync=True)
    """Accuracy on the labelled set before and after pruning; empty without labels."""

    partial = traitlets.Dict().tag(sync=True)
    """The decision with parts of one head's attention set to zero; empty until asked for."""

    curves = traitlets.Dict().tag(sync=True)
    """The decision as ever more heads are removed, by the order in which they go."""

    faithfulness = traitlets.Dict().tag(sync=True)
    """Insertion and deletion of the shown map and of compared maps; empty until asked for."""

    status = traitlets.Dict().tag(sync=True)
    """What is being computed, how far it is, and what failed last."""

    _version = traitlets.Int(0).tag(sync=True)
    """Grows with every new trace."""

    _model_info = traitlets.Dict().tag(sync=True)
    """The model, its tokens, and which methods and metrics there are."""

    _picture = traitlets.Bytes(b"").tag(sync=True)
    """JPEG of what the model sees."""

    _maps = traitlets.Bytes(b"").tag(sync=True)
    """Maps by method, each [layer, row, col]."""

    _attention_rows = traitlets.Bytes(b"").tag(sync=True)
    """Attention of the selected token in every head."""

    _importance_data = traitlets.Bytes(b"").tag(sync=True)
    """Importance of heads by metric, each [layer, head]."""

    _strength_data = traitlets.Bytes(b"").tag(sync=True)
    """Entropy, distance and strength by distance of every head, on the image as it is shown."""

    _strength_set = traitlets.Bytes(b"").tag(sync=True)
    """Entropy [image, layer, head] over the set of images."""

    _overview = traitlets.Dict().tag(sync=True)
    """Names, labels, predictions and places of the images of the set."""

    _thumbnails = traitlets.Bytes(b"").tag(sync=True)
    """Small pictures [image, row, col, 3] of the set; none where there are too many."""

    _comparison = traitlets.Dict().tag(sync=True)
    """What is compared, and rank correlations of the maps."""

    _comparison_maps = traitlets.Bytes(b"").tag(sync=True)
    """The compared maps [item, row, col]."""

    _patterns_info = traitlets.Dict().tag(sync=True)
    """Clusters of the map of attention patterns, and how well it was learnt."""

    _patterns_here = traitlets.Bytes(b"").tag(sync=True)
    """Where the heads of the image, as it is shown, lie on that map."""


class SessionTraits(SelectionTraits, ResultTraits):
    """All traits of a session."""


def _names(traits: type[traitlets.HasTraits]) -> tuple[str, ...]:
    return tuple(name for name, t in vars(traits).items() if isinstance(t, traitlets.TraitType))


SELECTIONS = _names(SelectionTraits)
"""Names of the selections."""

RESULTS = tuple(name for name in _names(ResultTraits) if name != "importance")
"""Names of the results that go to the browser."""
