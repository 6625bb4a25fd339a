"""What is selected: the traits that go both ways."""

from __future__ import annotations

from typing import Literal, TypeAlias, TypedDict

__all__ = [
    "MOST_STEPS",
    "UNDONE",
    "Colormap",
    "Direction",
    "ExplorerResults",
    "ExplorerSelections",
    "Head",
    "Interpolation",
    "Overlay",
    "Scale",
    "Selections",
    "Step",
    "StepHistory",
    "TourStep",
]

MOST_STEPS: int = 100
"""Steps that are remembered; older ones can no longer be undone."""

UNDONE: tuple[str, ...] = (
    "target",
    "selected_layer",
    "selected_head",
    "selected_token",
    "direction",
    "method",
    "metric",
    "overlay",
)
"""Selections that are undone."""

Head: TypeAlias = tuple[int, int]
"""A layer and a head of it, both from 0."""

Direction: TypeAlias = Literal["attends_to", "attended_by"]
"""Whether a token's row of the attention is shown, or its column."""

Colormap: TypeAlias = Literal["viridis", "cividis", "magma"]

Interpolation: TypeAlias = Literal["bilinear", "nearest"]
"""How a map's patches are enlarged to the picture."""

Overlay: TypeAlias = Literal["explanation", "attention", "plain"]
"""What lies on the large picture: what speaks for the explained class, attention, or nothing."""

Scale: TypeAlias = Literal["shared", "layer", "sigmoid"]
"""One color scale for the maps of all layers, one for each, or DAAM's own sigmoid."""


Step: TypeAlias = list[Head] | dict[str, int | str | None]
"""The heads that were pruned or restored; or selections a person chose together, by name, as they
are on the other side of the step. Target None is the predicted class."""


class StepHistory(TypedDict):
    """The pruned heads, and steps that were taken. Whoever sets it sets ``pruned_heads``."""

    pruned: list[Head]
    """Sorted, each once."""

    undo: list[Step]
    """Steps that can be undone, the last one last."""

    redo: list[Step]
    """Steps that were undone, the last one last."""


class Selections(TypedDict):
    """What is selected. The session validates it; the browser takes what the session says."""

    target: int | None
    """Class that is explained; None while there is none, or where the target is no class."""

    selected_layer: int

    selected_head: int
    """-1 is the mean of the heads."""

    selected_token: int
    """Index in the sequence, prefix tokens included."""

    selected_image: int
    """Number in the image set; -1 is the image that was given."""

    direction: Direction

    _history: StepHistory
    """Before ``pruned_heads``, which follow from it, where both are set at once."""

    pruned_heads: list[Head]
    """Sorted, each once; what is set here alone is a step of the history."""

    method: str
    """Key of one of the methods in ``_model_info``."""

    metric: str
    """Key of one of the metrics in ``_model_info``."""

    colormap: Colormap

    opacity: float
    """Of the map over the picture, 0 to 1."""

    interpolation: Interpolation

    scale: Scale

    overlay: Overlay


class ExplorerSelections(TypedDict):
    """What is selected in the Explorer only."""

    panels: list[str]
    """Open panels, in order; ``PANELS`` of ``widgets/explorer.py`` has them all."""

    tour_step: int
    """Step of the tour, from 0; -1 is none."""


class TourStep(TypedDict):
    """A step of a tour. In its texts words in braces are filled in, e.g. ``{class}``."""

    text: str
    """A sentence or two."""

    do: str
    """One thing to do; "" where there is only something to look at."""

    waits_for: list[str]
    """Selections one of which changes when that is done."""

    answer: str
    """What one sees then."""

    panel: str
    """What it is about; "" where it is about no panel."""

    select: dict[str, object]
    """What is selected when the step begins."""


class ExplorerResults(TypedDict):
    """What goes from the kernel to the Explorer only."""

    _tour: list[TourStep]
