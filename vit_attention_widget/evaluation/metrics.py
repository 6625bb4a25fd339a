"""Every metric by name: what it measures, in which direction it is better, and how to get it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from torch import Tensor

from ..errors import ParameterError
from .fill import FILLS, Fill, fill_name
from .localization import average_precision, energy_inside, iou, pointing_game
from .occlusion import Perturbed
from .perturbation import (
    FRACTIONS,
    Curve,
    average_drop,
    checked_steps,
    deletion,
    increase,
    insertion,
    negative_perturbation,
    positive_perturbation,
)

__all__ = ["FAITHFULNESS", "LOCALIZATION", "METRICS", "Measure", "Metric", "measures"]


@dataclass(frozen=True)
class Metric:
    """A metric: its direction, what it says, and the function that computes it.

    ``kind`` is ``"steps"`` for a curve of so many steps, ``"fractions"`` for one at fixed shares,
    ``"number"`` for one value from the model, and ``"located"`` for a comparison with masks.
    """

    better: str
    kind: str
    what: str
    function: Callable[..., Any]

    @property
    def needs_masks(self) -> bool:
        """Whether it compares with true masks."""
        return self.kind == "located"


METRICS: dict[str, Metric] = {
    "insertion": Metric("higher", "steps", "probability as relevant patches appear", insertion),
    "deletion": Metric("lower", "steps", "probability as relevant patches go", deletion),
    "positive": Metric(
        "lower", "fractions", "class first as relevant patches go", positive_perturbation
    ),
    "negative": Metric(
        "higher", "fractions", "class first as irrelevant patches go", negative_perturbation
    ),
    "average_drop": Metric("lower", "number", "probability lost, through the map", average_drop),
    "increase": Metric("higher", "number", "more probable, seen through the map", increase),
    "pointing": Metric("higher", "located", "maximum on the object", pointing_game),
    "iou_mean": Metric("higher", "located", "overlap, map above its mean", iou),
    "iou_best": Metric(
        "higher", "located", "overlap at the best threshold", partial(iou, threshold="best")
    ),
    "energy": Metric("higher", "located", "share of the map on the object", energy_inside),
    "average_precision": Metric(
        "higher", "located", "area below precision over recall", average_precision
    ),
}
"""Every metric by name; whether higher or lower is better."""

FAITHFULNESS = tuple(name for name, metric in METRICS.items() if not metric.needs_masks)
LOCALIZATION = tuple(name for name, metric in METRICS.items() if metric.needs_masks)


@dataclass(frozen=True)
class Measure:
    """A metric with its options: one column of a table."""

    name: str
    metric: Metric
    fill: Fill | None = None
    steps: int = 20
    unit: str = "patch"

    @property
    def fractions(self) -> tuple[float, ...]:
        """The shares at which its curve is known; none if it has no curve."""
        if self.metric.kind == "steps":
            return tuple(k / self.steps for k in range(self.steps + 1))
        return FRACTIONS if self.metric.kind == "fractions" else ()

    @property
    def variants(self) -> int:
        """Forward passes that it needs for an image and a map, but for what all maps share."""
        passes = {"steps": self.steps - 1, "fractions": len(FRACTIONS), "number": 1}
        return passes.get(self.metric.kind, 0)

    def measure(self, held: Perturbed, maps: Tensor) -> tuple[Tensor, Curve | None]:
        """Value of each image, and the curve it is the area of, if there is one."""
        options: dict[str, Any] = {} if self.fill is None else {"fill": self.fill}
        if self.metric.kind == "number":
            return self.metric.function(held, maps, **options), None
        if self.metric.kind == "steps":
            options["steps"] = self.steps
        curve: Curve = self.metric.function(held, maps, unit=self.unit, **options)
        return curve.area, curve

    def locate(self, maps: Tensor, objects: Tensor, counted: Tensor) -> Tensor:
        """Value of each image, of maps and objects at pixels."""
        return self.metric.function(maps.cpu(), objects, counted)


def measures(
    metrics: str | Sequence[str] | None,
    masks: bool,
    fill: Fill | Sequence[Fill] | None,
    steps: int,
    unit: str,
) -> tuple[Measure, ...]:
    """The columns that were asked for; a metric that hides patches has one for each fill."""
    steps = checked_steps(steps)
    if metrics is None:
        names = tuple(METRICS) if masks else FAITHFULNESS
    else:
        names = (metrics,) if isinstance(metrics, str) else tuple(dict.fromkeys(metrics))
    fills: list[Fill | None] = (
        [fill] if fill is None or isinstance(fill, str) or callable(fill) else [*fill]
    )
    for each in fills:
        if each is not None and not callable(each) and each not in FILLS:
            raise ParameterError(f"The fill is {each!r}: choose from {', '.join(FILLS)}.")
    found = []
    for name in names:
        if name not in METRICS:
            raise ParameterError(f"There is no metric {name!r}: choose from {', '.join(METRICS)}.")
        metric = METRICS[name]
        if metric.needs_masks:
            if not masks:
                raise ParameterError(
                    f"{name} compares with true masks: give masks=, one for each image."
                )
            found.append(Measure(name, metric))
            continue
        for each in fills:
            label = name if each is None or len(fills) == 1 else f"{name} ({fill_name(each)})"
            found.append(Measure(label, metric, each, steps, unit))
    if not found:
        raise ParameterError(f"No metric was given: choose from {', '.join(METRICS)}.")
    return tuple(found)
