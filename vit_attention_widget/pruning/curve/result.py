"""What is left of a decision as ever more heads are removed: numbers, tables, files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ...importance.result import HeadImportance
from ...models.output_kind import OutputKind
from ...results.named_values import NamedValues, Variable
from ...results.storage import JsonObject
from ...results.unfinished import Unfinished, extent_from

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["CURVE_METRICS", "CurveMetric", "PruningCurve"]

_OF_IMPORTANCE = "importance "

CurveMetric = Literal["probability", "accuracy"]
CURVE_METRICS: tuple[CurveMetric, ...] = ("probability", "accuracy")


@dataclass(frozen=True, eq=False)
class PruningCurve(Unfinished, NamedValues):
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
    error : Exception or None
        What ended the computation early; the steps before are here.
    total : int or None
        Number of heads that were to be removed.
    importance : HeadImportance or None
        By which the order was made, if the heads were to go by their importance.
    complete : bool
        Whether all steps are here; :attr:`how_far` says how many are.
    """

    kind = "pruning curve"
    axes = ("removed",)

    values: Tensor = field(repr=False)
    order: list[tuple[int, int]] = field(repr=False)
    metric: CurveMetric
    order_name: str
    output: OutputKind = "softmax"
    error: Exception | None = None
    total: int | None = None
    ongoing: bool = False
    importance: HeadImportance | None = field(default=None, repr=False)

    unit = "head"

    def __repr__(self) -> str:
        return f"<{self._title()}, by {self.order_name}{self._shortfall()}>"

    @property
    def done(self) -> int:
        """Number of heads removed."""
        return len(self.order)

    @property
    def n_images(self) -> int:
        """Not known: a curve holds means over the images."""
        raise AttributeError("a curve holds means over the images, and counts heads: .done")

    @property
    def how_far(self) -> str:
        """What is here, in words: ``"34 of 144 heads removed"``."""
        if self.importance is not None and not self.importance.complete and not self.order:
            return f"the order by {self.importance.how_far}, no head removed"
        return f"{super().how_far} removed"

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
        importance = None
        if about.get("importance") is not None:
            of_importance = {
                name.removeprefix(_OF_IMPORTANCE): values
                for name, values in tensors.items()
                if name.startswith(_OF_IMPORTANCE)
            }
            importance = HeadImportance._from_parts(of_importance, about["importance"])
        return cls(
            tensors["values"],
            order,
            about["metric"],
            about["order_name"],
            about["output"],
            *extent_from(about),
            importance,
        )

    def _to_parts(self) -> tuple[dict[str, Tensor], JsonObject]:
        tensors = {"values": self.values}
        about: JsonObject = {
            "order": self.order,
            "metric": self.metric,
            "order_name": self.order_name,
            "output": self.output,
            **self._about_extent(),
        }
        if self.importance is not None:
            of_importance, about["importance"] = self.importance._to_parts()
            tensors |= {_OF_IMPORTANCE + name: each for name, each in of_importance.items()}
        return tensors, about

    def _variables(self) -> Mapping[str, Variable]:
        return {self.metric: Variable(self.axes, self.values)}

    def _columns(self) -> dict[str, NDArray[np.generic]]:
        """A row a step: layer and head that went last (None at first), and the value."""
        last: Sequence[tuple[int | None, int | None]] = [(None, None), *self.order]
        layers, heads = np.array(last, object).T
        columns = super()._columns()
        return {"removed": columns.pop("removed"), "layer": layers, "head": heads, **columns}
