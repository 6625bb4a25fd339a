"""Which heads went, what that cost, and the smaller model: numbers, tables, files."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor, nn

from ...errors import ParameterError
from ...results.html import block, notes, table
from ...results.named_values import NamedValues, Variable
from ...results.storage import JsonObject
from ...results.unfinished import Unfinished, extent_from
from ..curve.result import PruningCurve
from .cost import Quantity

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["BudgetPruning", "Recovered"]

_OF_CURVE = "curve "


class Recovered(NamedTuple):
    """A round of pruning and recovery: heads removed by then, accuracy before and after it."""

    removed: int
    before: float
    after: float


@dataclass(frozen=True, eq=False)
class BudgetPruning(Unfinished, NamedValues):
    """The heads that were pruned to reach a budget, and the model without them.

    Attributes
    ----------
    heads : list of (layer, head)
        That were pruned, in this order.
    curve : PruningCurve
        Accuracy on the images that chose the heads as these went; with recovery that of the
        accepted rounds, each of which ends with the accuracy after it.
    budget : str
        What was asked for: ``"at least 0.99 of the accuracy"``.
    model : nn.Module or None
        The smaller model. None in a partial result without recovery, and in one that was read from
        a file: :func:`~vit_attention_widget.save_pruned` writes the model itself.
    quantities : list of Quantity
        What the whole model and the smaller one cost; empty in a partial result. The accuracy is
        that on held-out images, with Wilson's interval of 95 %; seconds are medians with quartiles,
        and their ratio the median of those of passes run in turn.
    recovered : list of Recovered
        A round of recovery each.
    num_images : mapping
        How many images chose the heads (``choosing``), were learned from (``training``), and
        only judged (``held_out``).
    error : Exception or None
        What ended the computation early; what there was by then is here.
    total : int or None
        Number of heads that were to go, where that was asked for.
    complete : bool
        Whether the budget is reached; :attr:`how_far` says how many heads went.
    """

    kind = "pruning to a budget"
    axes = ("quantity", "model")
    unit = "head"

    heads: list[tuple[int, int]] = field(repr=False)
    curve: PruningCurve = field(repr=False)
    budget: str
    model: nn.Module | None = field(default=None, repr=False)
    quantities: list[Quantity] = field(default_factory=list, repr=False)
    recovered: list[Recovered] = field(default_factory=list, repr=False)
    num_images: Mapping[str, int] = field(default_factory=dict, repr=False)
    error: Exception | None = None
    total: int | None = None
    ongoing: bool = False

    def __repr__(self) -> str:
        said = ", ".join(f"{each.name} x {each.ratio:.3g}" for each in self.quantities)
        return (
            f"<BudgetPruning: {len(self.heads)} heads pruned, {self.budget}"
            f"{', ' if said else ''}{said}{self._shortfall()}>"
        )

    @property
    def done(self) -> int:
        """Number of heads pruned."""
        return len(self.heads)

    @property
    def n_images(self) -> int:
        """Not known: see :attr:`num_images`."""
        raise AttributeError("it counts heads (.done); .num_images says how many images did what")

    @property
    def how_far(self) -> str:
        """What is here, in words: ``"34 of 72 heads removed"``."""
        weighed = self.curve.importance
        if weighed is not None and not weighed.complete and not self.heads:
            return self.curve.how_far
        return f"{super().how_far} removed"

    @property
    def values(self) -> Tensor:
        """[quantity, model]: of the whole model, then of the smaller one."""
        return self._table(lambda q: (q.whole[0], q.pruned[0]))

    def ratio(self, quantity: str) -> float:
        """The smaller model's share of the whole one's.

        Parameters
        ----------
        quantity : str
            ``"accuracy"``, ``"parameters"``, ``"FLOPs"``, ``"seconds (cpu)"``.

        Raises
        ------
        ParameterError
            If it was not measured.
        """
        for each in self.quantities:
            if each.name == quantity:
                return each.ratio
        names = ", ".join(each.name for each in self.quantities) or "nothing yet"
        raise ParameterError(f"There is no {quantity!r}: what was measured is {names}.")

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the curve, where it was left, and the held-out accuracy there. Needs matplotlib."""
        from .plot import plot_budget

        return plot_budget(self, ax)

    def _table(self, read: Callable[[Quantity], tuple[float, float]]) -> Tensor:
        rows = [read(quantity) for quantity in self.quantities]
        return torch.tensor(rows, dtype=torch.float64).reshape(len(rows), 2)

    # What the shared tables and files are made of -------------------------------------------------

    def _variables(self) -> Mapping[str, Variable]:
        tables = {
            "value": self.values,
            "low": self._table(lambda q: (q.whole[1], q.pruned[1])),
            "high": self._table(lambda q: (q.whole[2], q.pruned[2])),
            "ratio": self._table(lambda q: (1.0, q.ratio)),
        }
        return {name: Variable(self.axes, values) for name, values in tables.items()}

    def _coords(self) -> Mapping[str, Sequence[object]]:
        return {
            "quantity": [quantity.name for quantity in self.quantities],
            "model": ["whole", "pruned"],
        }

    def _to_parts(self) -> tuple[dict[str, Tensor], JsonObject]:
        tensors, about_curve = self.curve._to_parts()
        about: JsonObject = {
            "heads": self.heads,
            "curve": about_curve,
            "budget": self.budget,
            "quantities": [_as_list(quantity) for quantity in self.quantities],
            "recovered": [list(each) for each in self.recovered],
            "num_images": dict(self.num_images),
            **self._about_extent(),
        }
        return {_OF_CURVE + name: values for name, values in tensors.items()}, about

    @classmethod
    def _from_parts(cls, tensors: dict[str, Tensor], about: JsonObject) -> BudgetPruning:
        of_curve = {name.removeprefix(_OF_CURVE): values for name, values in tensors.items()}
        return cls(
            [(int(layer), int(head)) for layer, head in about["heads"]],
            PruningCurve._from_parts(of_curve, about["curve"]),
            about["budget"],
            None,
            [_quantity(*each) for each in about["quantities"]],
            [Recovered(*each) for each in about["recovered"]],
            about["num_images"],
            *extent_from(about),
        )

    def _repr_html_(self) -> str:
        title = f"{len(self.heads)} heads pruned, {self.budget}{self._shortfall()}"
        counts = self.num_images
        said = [
            f"{counts.get('choosing', 0)} images chose the heads, {counts.get('held_out', 0)} "
            "others judge the accuracy (Wilson's interval, 95 %)"
        ]
        if counts.get("training"):
            said.append(f"recovered on {counts['training']} images in {len(self.recovered)} rounds")
        return block(title, table(self._columns()), notes(said))


def _as_list(quantity: Quantity) -> list[object]:
    """As JSON has it: None for NaN, which is not equal to itself."""
    values = (*quantity.whole, *quantity.pruned, quantity.ratio)
    return [quantity.name, *(None if value != value else value for value in values)]


def _quantity(name: str, *values: float | None) -> Quantity:
    a, b, c, d, e, f, ratio = (float("nan") if value is None else value for value in values)
    return Quantity(name, (a, b, c), (d, e, f), ratio)
