"""A picture of pruning to a budget, by matplotlib."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..curve.plot import plot_curve

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from .result import BudgetPruning

__all__ = ["plot_budget"]


def plot_budget(pruned: BudgetPruning, ax: Axes | None) -> Axes:
    """The curve, a line where it was left, and the held-out accuracy there with its interval."""
    ax = plot_curve(pruned.curve, ax)
    count = len(pruned.heads)
    ax.axvline(count, linestyle="--", linewidth=1, color="gray")
    for each in pruned.recovered:
        ax.annotate(
            "",
            (each.removed, each.after),
            (each.removed, each.before),
            arrowprops={"arrowstyle": "->", "linewidth": 1, "color": "gray"},
        )
    for quantity in pruned.quantities:
        if quantity.name == "accuracy":
            value, low, high = quantity.pruned
            ax.errorbar(
                [count],
                [value],
                [[value - low], [high - value]],
                marker="o",
                capsize=3,
                color="tab:red",
                label="held-out images",
            )
    ax.set_title(pruned.budget)
    ax.legend()
    return ax
