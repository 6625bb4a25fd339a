"""The model's output as more and more of the images is hidden, or shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ..results.drawing import axes_or_new
from ..results.named_values import NamedValues

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Curve"]


@dataclass(frozen=True, eq=False)
class Curve(NamedValues):
    """The model's output as more and more of the images is hidden, or shown.

    Attributes
    ----------
    fractions : Tensor
        [fraction], the share of the patches that is hidden (for insertion: shown), in [0, 1].
    values : Tensor
        [image, fraction], the probability of the class, whether it is predicted (0 or 1), or the
        target's own value.
    """

    kind = "curve"
    axes = ("image", "fraction")

    fractions: Tensor = field(repr=False)
    values: Tensor = field(repr=False)

    @property
    def area(self) -> Tensor:
        """[image], the mean height of each curve by the trapezoidal rule; in [0, 1] for classes."""
        width = self.fractions[-1] - self.fractions[0]
        return torch.trapezoid(self.values, self.fractions, dim=1) / width

    def plot(self, ax: Axes | None = None, *, label: str | None = None) -> Axes:
        """Draw the mean over the images. Needs matplotlib.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            To draw several curves into one picture.
        label : str, optional
            For the legend.

        Returns
        -------
        matplotlib.axes.Axes
        """
        ax = axes_or_new(ax)
        mean = self.values.nanmean(0)
        ax.plot(self.fractions.cpu().numpy(), mean.cpu().numpy(), linewidth=1.2, label=label)
        ax.set(xlabel="share of patches", ylabel="output")
        return ax

    def _coords(self) -> Mapping[str, Sequence[float]]:
        return {"fraction": self.fractions.tolist()}
