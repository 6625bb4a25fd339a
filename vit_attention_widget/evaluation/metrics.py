"""Every metric by name: what it measures, which direction is better, and what computes it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, TypeAlias

from .localization import average_precision, energy_inside, iou, pointing_game
from .map_as_mask import average_drop, increase
from .perturbation import deletion, insertion, negative_perturbation, positive_perturbation

__all__ = ["FAITHFULNESS", "LOCALIZATION", "METRICS", "Better", "Metric", "MetricName"]

Better: TypeAlias = Literal["higher", "lower"]

MetricName: TypeAlias = Literal[
    "insertion",
    "deletion",
    "positive",
    "negative",
    "average_drop",
    "increase",
    "pointing",
    "iou_mean",
    "iou_best",
    "energy",
    "average_precision",
]
"""A metric of maps."""


@dataclass(frozen=True)
class Metric:
    """A metric.

    Attributes
    ----------
    better : {"higher", "lower"}
    kind : str
        ``"steps"`` for the area of a curve of so many steps, ``"fractions"`` for that of a curve
        at fixed fractions, ``"number"`` for one value from the model, ``"located"`` for a
        comparison with masks.
    description : str
    function : callable
        Of an occluder and maps [batch, row, col]; if ``"located"``, of maps, masks and the pixels
        that count, [batch, height, width] each.
    """

    better: Better
    kind: Literal["steps", "fractions", "number", "located"]
    description: str
    function: Callable[..., Any]  # by its kind

    @property
    def needs_masks(self) -> bool:
        """Whether it compares with masks of the objects."""
        return self.kind == "located"


METRICS: Mapping[MetricName, Metric] = {
    "insertion": Metric("higher", "steps", "probability as relevant patches are shown", insertion),
    "deletion": Metric("lower", "steps", "probability as relevant patches are hidden", deletion),
    "positive": Metric(
        "lower", "fractions", "top-1 as relevant patches are hidden", positive_perturbation
    ),
    "negative": Metric(
        "higher", "fractions", "top-1 as irrelevant patches are hidden", negative_perturbation
    ),
    "average_drop": Metric("lower", "number", "probability lost through the map", average_drop),
    "increase": Metric("higher", "number", "more probable through the map", increase),
    "pointing": Metric("higher", "located", "maximum on the object", pointing_game),
    "iou_mean": Metric("higher", "located", "overlap, map above its mean", iou),
    "iou_best": Metric(
        "higher", "located", "overlap at the best threshold", partial(iou, threshold="best")
    ),
    "energy": Metric("higher", "located", "share of the map on the object", energy_inside),
    "average_precision": Metric(
        "higher", "located", "area under the precision-recall curve", average_precision
    ),
}
"""Every metric by name."""

FAITHFULNESS = tuple(name for name, metric in METRICS.items() if not metric.needs_masks)
"""Metrics that run the model on changed images."""

LOCALIZATION = tuple(name for name, metric in METRICS.items() if metric.needs_masks)
"""Metrics that compare maps with masks of the objects."""
