"""How heads depend on each other: the change of each one's importance when another is gone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...results.heat_map import heat_map
from ...results.html import block, notes
from ...results.named_values import NamedValues, Variable
from ...results.rows import parts_of
from ...results.storage import JsonObject
from ...results.unfinished import Unfinished, counted, extent_from, skipped_from
from ...statistics.intervals import normal_interval
from ..metrics import Metric

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Backup", "HeadInteractions", "InteractionPart"]

Head = tuple[int, int]


class Backup(NamedTuple):
    """A head that matters more once another is gone: means over the images.

    Attributes
    ----------
    gone, backup : (layer, head)
        The head that was masked, and the one that takes over, of the same layer or one above.
    importance : float
        Of the backup while the other is in place.
    change : float
        How much more it matters once the other is gone.
    """

    gone: Head
    backup: Head
    importance: float
    change: float


@dataclass(frozen=True)
class InteractionPart:
    """Some of the images; of the heads that are masked in turn the last are not known yet.

    Attributes
    ----------
    values : Tensor
        [image, gone, layer, head].
    importance : Tensor
        [image, layer, head], while no head is gone.
    gone_left : int
    """

    values: Tensor
    importance: Tensor
    gone_left: int = 0

    def __len__(self) -> int:
        return len(self.importance)


@dataclass(frozen=True, eq=False)
class HeadInteractions(Unfinished, NamedValues):
    """The change of every head's importance when another is masked, for each image.

    Above 0 a head matters more without the other: they stand in for each other. Below 0 it matters
    less: what it does depends on the other.

    Attributes
    ----------
    gone : tuple of (layer, head)
        Heads that were masked, one at a time.
    metric : str
        Of the importance.
    target : str
        What is explained.
    error : Exception or None
        What ended the computation early; all that was computed before is here.
    total : int or None
        Number of images that were to be measured, where that is known.
    ongoing : bool
        Whether more may come.
    skipped : mapping of int to str
        Why an image of the set is not among these, by its number in the set: see ``on_error``.
    """

    kind = "head interactions"
    axes = ("image", "gone", "layer", "head")
    table_axes = ("gone", "layer", "head")

    parts: Sequence[InteractionPart] = field(repr=False)
    gone: tuple[Head, ...] = field(repr=False)
    metric: Metric
    target: str
    error: Exception | None = None
    total: int | None = None
    ongoing: bool = False
    skipped: Mapping[int, str] = field(default_factory=dict)

    def _title(self) -> str:
        images, gone = counted(len(self), None, "image"), counted(len(self.gone), None, "head")
        layers, heads = self.importance.shape[1:]
        return f"HeadInteractions: {images}, {gone} gone one at a time, of {layers} x {heads}"

    def __repr__(self) -> str:
        return f"<{self._title()}, by {self.metric}, of {self.target!r}{self._shortfall()}>"

    def __len__(self) -> int:
        return sum(map(len, self.parts))

    @property
    def done(self) -> int:
        """Number of images of which all pairs are known."""
        return sum(len(part) for part in self.parts if not part.gone_left)

    @property
    def complete(self) -> bool:
        """Whether all pairs of all images are here."""
        return super().complete and not any(part.gone_left for part in self.parts)

    @property
    def how_far(self) -> str:
        """What is here, in words: ``"34 of 144 heads masked"``, ``"8 of 50 images"``."""
        heads = [
            f"{len(self.gone) - part.gone_left} of {len(self.gone)} heads masked"
            for part in self.parts
            if part.gone_left
        ]
        images = super().how_far
        if not heads:
            return images
        return heads[0] if not self.done else f"{images}, and {heads[0]} of the next"

    @cached_property
    def values(self) -> Tensor:
        """[image, gone, layer, head]; NaN of a head itself and of masked heads."""
        return torch.cat([part.values for part in self.parts])

    @cached_property
    def importance(self) -> Tensor:
        """[image, layer, head], while no head is gone."""
        return torch.cat([part.importance for part in self.parts])

    def mean(self) -> Tensor:
        """Mean over the images, [gone, layer, head]."""
        return self.values.nanmean(0)

    def interval(self, level: float = 0.95) -> tuple[Tensor, Tensor]:
        """Confidence interval of the mean: (low, high), each [gone, layer, head].

        The normal approximation; trust it from some 30 images on. NaN for a single image.

        Raises
        ------
        ParameterError
            If ``level`` is not between 0 and 1.
        """
        return normal_interval(self.values, level)

    def matrix(self) -> Tensor:
        """[gone, other head], the heads of all layers side by side; means over the images."""
        return self.mean().flatten(1)

    def backups(self, count: int = 10) -> list[Backup]:
        """Pairs in which a head takes over from one that is gone, those that gain most first.

        A head takes over if it matters more than before and then matters at all. Each pair once:
        the backup is of the same layer or above. With several images only those whose change is
        above 0 with a confidence of 95 %. (Wang et al., ICLR 2023, call such heads backup heads;
        McGrath et al. 2023 speak of the Hydra effect.)
        """
        mean, importance, (low, _) = self.mean(), self.importance.nanmean(0), self.interval()
        surely = low if len(self) > 1 else mean
        pairs: dict[frozenset[Head], Backup] = {}
        for row, head in enumerate(self.gone):
            for layer, other in (surely[row] > 0).nonzero().tolist():
                change = float(mean[row, layer, other])
                before = float(importance[layer, other])
                pair = frozenset((head, (layer, other)))
                if layer >= head[0] and before + change > 0 and pair not in pairs:
                    pairs[pair] = Backup(head, (layer, other), before, change)
        return sorted(pairs.values(), key=lambda backup: -backup.change)[:count]

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the matrix: a row for each head that is gone. Needs matplotlib."""
        from .plot import plot_matrix

        return plot_matrix(self, ax)

    # What the shared tables and files are made of -------------------------------------------------

    def _variables(self) -> Mapping[str, Variable]:
        low, high = self.interval()
        return {
            "change": Variable(self.table_axes, self.mean()),
            "low": Variable(self.table_axes, low),
            "high": Variable(self.table_axes, high),
            "change_of_image": Variable(self.axes, self.values),
            "importance": Variable(("image", "layer", "head"), self.importance),
        }

    def _coords(self) -> Mapping[str, Sequence[object]]:
        return {"gone": [f"{layer}-{head}" for layer, head in self.gone]}

    def _columns(self) -> dict[str, NDArray[np.generic]]:
        """The head that is gone as two columns."""
        columns = super()._columns()
        pairs = [name.split("-") for name in columns.pop("gone").tolist()]
        layers, heads = np.array(pairs, int).reshape(-1, 2).T
        return {"gone_layer": layers, "gone_head": heads, **columns}

    def _images(self, first: int, last: int) -> HeadInteractions:
        return replace(self, parts=parts_of(self.parts, first, last))

    def _to_parts(self) -> tuple[dict[str, Tensor], JsonObject]:
        last = self.parts[-1]
        about: JsonObject = {
            "gone": [list(head) for head in self.gone],
            "metric": self.metric,
            "target": self.target,
            **self._about_extent(),
            "last": [len(last), last.gone_left],
        }
        return {"values": self.values, "importance": self.importance}, about

    @classmethod
    def _from_parts(cls, tensors: dict[str, Tensor], about: JsonObject) -> HeadInteractions:
        values, importance = tensors["values"], tensors["importance"]
        if not (values.is_floating_point() and importance.is_floating_point()):
            raise TypeError("interactions are no floating point numbers")
        images, left = about["last"]
        gone = tuple((int(layer), int(head)) for layer, head in about["gone"])
        count = len(importance) - images
        if not (count >= 0 and images > 0 and 0 <= left <= len(gone)):
            raise ValueError("it does not say which heads are known")
        first = InteractionPart(values[:count], importance[:count])
        last = InteractionPart(values[count:], importance[count:], left)
        parts = (first, last) if count else (last,)
        extent = *extent_from(about), skipped_from(about)
        return cls(parts, gone, about["metric"], about["target"], *extent)

    def _repr_html_(self) -> str:
        picture = heat_map(
            self.matrix(), title=f"change of {self.metric}", caption="head that is gone x head"
        )
        said = [
            f"without head {b.gone[1]} of layer {b.gone[0]}, head {b.backup[1]} of layer "
            f"{b.backup[0]} takes over: {b.importance:.3g} to {b.importance + b.change:.3g}"
            for b in self.backups(5)
        ]
        return block(f"{self._title()}, of {self.target}{self._shortfall()}", picture, notes(said))
