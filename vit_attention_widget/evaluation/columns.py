"""The columns of an evaluation's table: metrics with their options."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from ..errors import ParameterError
from .curve import Curve
from .fill import FILLS, Fill, fill_name
from .maps import Unit
from .metrics import FAITHFULNESS, METRICS, Metric, MetricName
from .occlusion import Occluder
from .perturbation import FRACTIONS, checked_steps

__all__ = ["Column", "requested_columns"]


@dataclass(frozen=True)
class Column:
    """A metric with its options."""

    name: str
    metric: Metric
    fill: Fill | None = None
    steps: int = 20
    unit: Unit = "patch"

    @property
    def fractions(self) -> tuple[float, ...]:
        """The fractions at which its curve is known; none if it has no curve."""
        if self.metric.kind == "steps":
            return tuple(k / self.steps for k in range(self.steps + 1))
        return FRACTIONS if self.metric.kind == "fractions" else ()

    @property
    def variants(self) -> int:
        """Forward passes for an image and a map, without those that all maps share."""
        passes = {"steps": self.steps - 1, "fractions": len(FRACTIONS), "number": 1}
        return passes.get(self.metric.kind, 0)

    def measure(self, occluder: Occluder, maps: Tensor) -> tuple[Tensor, Curve | None]:
        """Value of each image, and the curve it is the area of, if there is one."""
        options: dict[str, object] = {} if self.fill is None else {"fill": self.fill}
        if self.metric.kind == "number":
            return self.metric.function(occluder, maps, **options), None
        if self.metric.kind == "steps":
            options["steps"] = self.steps
        curve: Curve = self.metric.function(occluder, maps, unit=self.unit, **options)
        return curve.area, curve

    def locate(self, maps: Tensor, masks: Tensor, counted: Tensor) -> Tensor:
        """Value of each image, from maps and masks at pixels."""
        values: Tensor = self.metric.function(maps.cpu(), masks, counted)
        return values


def requested_columns(
    metrics: MetricName | Sequence[MetricName] | None,
    fill: Fill | Sequence[Fill] | None,
    steps: int,
    unit: Unit,
    *,
    have_masks: bool,
) -> tuple[Column, ...]:
    """A column for each metric, or for each fill of a metric that hides patches.

    Raises
    ------
    ParameterError
        If a metric or fill does not exist, or a metric needs masks.
    """
    steps = checked_steps(steps)
    if metrics is None:
        names = tuple(METRICS) if have_masks else FAITHFULNESS
    else:
        names = (metrics,) if isinstance(metrics, str) else tuple(dict.fromkeys(metrics))
    fills: list[Fill | None] = (
        [fill] if fill is None or isinstance(fill, str) or callable(fill) else [*fill]
    )
    for each in fills:
        if each is not None and not callable(each) and each not in FILLS:
            raise ParameterError(f"The fill is {each!r}: choose from {', '.join(FILLS)}.")
    columns = []
    for name in names:
        if name not in METRICS:
            raise ParameterError(f"There is no metric {name!r}: choose from {', '.join(METRICS)}.")
        metric = METRICS[name]
        if metric.needs_masks:
            if not have_masks:
                raise ParameterError(
                    f"{name} compares with ground-truth masks: give masks=, one for each image."
                )
            columns.append(Column(name, metric))
            continue
        for each in fills:
            label = name if each is None or len(fills) == 1 else f"{name} ({fill_name(each)})"
            columns.append(Column(label, metric, each, steps, unit))
    if not columns:
        raise ParameterError(f"No metric was given: choose from {', '.join(METRICS)}.")
    return tuple(columns)
