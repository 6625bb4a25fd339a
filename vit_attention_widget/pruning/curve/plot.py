"""Pictures of pruning, by matplotlib."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...results.drawing import axes_or_new

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from .result import PruningCurve

__all__ = ["plot_curve"]


def plot_curve(curve: PruningCurve, ax: Axes | None) -> Axes:
    """Accuracy, probability or value by the number of heads removed; the original as a line."""
    ax = axes_or_new(ax)
    label = curve.order_name + curve._shortfall()
    ax.plot(
        curve.removed,
        curve.values.tolist(),
        marker=".",
        linewidth=1,
        label=label,
    )
    ax.axhline(float(curve.values[0]), linestyle=":", linewidth=1, color="gray")
    is_value = curve.output == "value" and curve.metric == "probability"
    ax.set(xlabel="heads removed", ylabel="value" if is_value else curve.metric)
    ax.legend()
    return ax
