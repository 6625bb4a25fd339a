"""Axes to draw on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .optional import optional

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["axes_or_new"]


def axes_or_new(ax: Axes | None) -> Axes:
    """These matplotlib axes, or the axes of a new figure where there are none.

    Raises
    ------
    ParameterError
        If matplotlib is not installed.
    """
    if ax is not None:
        return ax
    new: Axes = optional("matplotlib.pyplot", "plot()").subplots(layout="constrained")[1]
    return new
