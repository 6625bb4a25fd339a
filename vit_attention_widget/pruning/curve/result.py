"""What is left of a decision as ever more heads are removed: numbers, tables, files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ...models.output_kind import OutputKind
from ...results.named_values import NamedValues, Variable
from ...results.storage import JsonObject

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["CURVE_METRICS", "CurveMetric", "PruningCurve"]

CurveMetric = Literal["probability", "accuracy"]
CURVE_METRICS: tuple[CurveMetric, ...] = ("probability", "accuracy")


@dataclass(frozen=True, eq=False)
class PruningCurve(NamedValues):
    """A decision against the number of heads removed.

    Attributes
    ----------
    values : Tensor
        [removed], from no head removed on; the mean over the images of the probability of their
        class (of a model of values the value), or the share that is still given its class.
    order : list of (layer, head)
        In which they were removed, the least important first.
    metric : {"probability", "accuracy"}
    order_name : str
    output : {"softmax", "sigmoid", "value"}
        What the model's outputs are; of values ``"probability"`` means the value.
    """

    kind = "pruning curve"
    axes = ("removed",)

    values: Tensor = field(repr=False)
    order: list[tuple[int, int]] = field(repr=False)
    metric: CurveMetric
    order_name: str
    output: OutputKind = "softmax"

    @property
    def removed(self) -> list[int]:
        """Numbers of heads removed, from 0."""
        return list(range(len(self.values)))

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw it. Needs matplotlib; give ``ax`` to draw several into one picture."""
        from .plot import plot_curve

        return plot_curve(self, ax)

    # What the shared tables and files are made of -------------------------------------------------

    @classmethod
    def _from_parts(cls, tensors: dict[str, Tensor], about: JsonObject) -> PruningCurve:
        order = [(int(layer), int(head)) for layer, head in about["order"]]
        return cls(tensors["values"], order, about["metric"], about["order_name"], about["output"])

    def _variables(self) -> Mapping[str, Variable]:
        return {self.metric: Variable(self.axes, self.values)}

    def _columns(self) -> dict[str, NDArray[np.generic]]:
        """A row a step: layer and head that went last (None at first), and the value."""
        last: Sequence[tuple[int | None, int | None]] = [(None, None), *self.order]
        layers, heads = np.array(last, object).T
        columns = super()._columns()
        return {"removed": columns.pop("removed"), "layer": layers, "head": heads, **columns}
