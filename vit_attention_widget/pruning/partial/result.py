"""What becomes of a decision without parts of one head: numbers, tables, files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ...results.drawing import axes_or_new
from ...results.named_values import NamedValues, Variable

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["MODES", "PartialPruning", "Top5"]

# Which blocks of (query, key) are zeroed; c is the class token, p the patches.
MODES: Mapping[str, tuple[str, ...]] = {
    "none": (),
    "all": ("cc", "cp", "pc", "pp", "other"),
    "class row and column": ("cc", "cp", "pc"),
    "patches": ("pp",),
    "class row and column without corner": ("cp", "pc"),
    "corner": ("cc",),
}
"""The six modes of Li et al. 2023, each with the blocks that it zeroes."""

Top5: TypeAlias = tuple[tuple[str, float], ...]
"""The best classes as (name, probability), the best first."""


@dataclass(frozen=True, eq=False)
class PartialPruning(NamedValues):
    """The decision with parts of one head's attention set to zero.

    Attributes
    ----------
    layer, head : int
    modes : tuple of str
        Without a class token, those of :data:`MODES` that need none.
    probability : Tensor
        [mode, image], of the target class; of a model of values the value. Also ``.values``.
    top5 : tuple
        [mode][image], the five best classes as (name, probability).
    target : str
    """

    kind = "partial pruning"
    axes = ("mode", "image")

    layer: int
    head: int
    modes: tuple[str, ...]
    probability: Tensor = field(repr=False)
    top5: tuple[tuple[Top5, ...], ...] = field(repr=False)
    target: str

    @property
    def values(self) -> Tensor:
        """[mode, image]: :attr:`probability`."""
        return self.probability

    def zeroed(self, mode: str) -> list[list[bool]]:
        """A pictogram: [[class-class, class-patch], [patch-class, patch-patch]], True if zeroed."""
        blocks = MODES[mode]
        return [["cc" in blocks, "cp" in blocks], ["pc" in blocks, "pp" in blocks]]

    def plot(self, ax: Axes | None = None) -> Axes:
        """A bar for each mode, the mean of the images. Needs matplotlib."""
        axes = axes_or_new(ax)
        axes.barh(self.modes, self.probability.mean(1).tolist())
        axes.invert_yaxis()
        axes.set(xlabel="probability", title=f"{self.target}: layer {self.layer}, head {self.head}")
        return axes

    # What the shared tables and files are made of -------------------------------------------------

    def _variables(self) -> Mapping[str, Variable]:
        return {"probability": Variable(self.axes, self.probability)}

    def _coords(self) -> Mapping[str, Sequence[object]]:
        return {"mode": self.modes}

    def _columns(self) -> dict[str, NDArray[np.generic]]:
        best = [image[0][0] for mode in self.top5 for image in mode]
        return {**super()._columns(), "best": np.array(best, object)}
