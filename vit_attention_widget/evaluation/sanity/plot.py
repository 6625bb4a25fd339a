"""A picture of a sanity check, by matplotlib."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...results.drawing import axes_or_new
from ..plot import line_style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from .result import SanityCheck

__all__ = ["plot_stages"]


def plot_stages(check: SanityCheck, ax: Axes | None) -> Axes:
    """Rank correlation with the original map, from the top layer down."""
    ax = axes_or_new(ax)
    for index, method in enumerate(check.methods):
        values = check.mean(method).numpy()
        style = line_style(method, index)
        ax.plot(range(len(values)), values, linewidth=1.2, label=method, **style)
    ax.set_xticks(range(len(check.stages)), check.stages, rotation=90, fontsize=7)
    ax.axhline(0, linewidth=0.5, color="gray")
    ax.set(ylabel="rank correlation with the original map", xlabel="randomized from the top to")
    ax.legend(fontsize=7)
    return ax
