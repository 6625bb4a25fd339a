"""Pictures of an evaluation, by matplotlib."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

from ..results.drawing import axes_or_new
from .baselines import BASELINES

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from .result import Evaluation

__all__ = ["line_style", "plot_curves", "plot_means"]

_COLORS = [f"C{k}" for k in range(10) if k != 7]
"""matplotlib's own but gray, which the baselines have."""


def plot_curves(evaluation: Evaluation, metric: str, ax: Axes | None) -> Axes:
    """The mean curve of each method; baselines dashed or dotted in gray."""
    ax = axes_or_new(ax)
    for index, method in enumerate(evaluation.methods):
        fractions, values = evaluation.curve(method, metric)
        label = f"{method} {evaluation.mean(method, metric):.3f}"
        style = line_style(method, index)
        ax.plot(fractions.numpy(), values.numpy(), linewidth=1.2, label=label, **style)
    shown = "shown" if metric.startswith("insertion") else "hidden"
    top1 = metric.startswith(("positive", "negative"))
    ylabel = "top-1 accuracy" if top1 else "probability"
    ax.set(xlabel=f"share of patches {shown}", ylabel=ylabel)
    ax.set_title(_title(evaluation, metric), fontsize=9)
    ax.legend(fontsize=7)
    return ax


def plot_means(evaluation: Evaluation, metric: str, ax: Axes | None) -> Axes:
    """The mean of each method with its interval, the best at the top."""
    ax = axes_or_new(ax)
    sign = -1 if evaluation.better[metric] == "lower" else 1
    methods = sorted(evaluation.methods, key=lambda m: sign * evaluation.mean(m, metric))
    for row, method in enumerate(methods):
        mean, (low, high) = evaluation.mean(method, metric), evaluation.interval(method, metric)
        color = "gray" if method in BASELINES else "C0"
        if low == low:
            ax.plot([low, high], [row, row], linewidth=1.2, color=color)
        ax.plot([mean], [row], marker="o", markersize=4, color=color)
    ax.set_yticks(range(len(methods)), methods, fontsize=7)
    ax.set_title(_title(evaluation, metric), fontsize=9)
    return ax


class LineStyle(TypedDict, total=False):
    """Arguments of matplotlib's ``plot``."""

    color: str
    linestyle: str


def line_style(method: str, index: int) -> LineStyle:
    """How the line of a method is drawn: in a color of its own, or in gray if a baseline's."""
    if method not in BASELINES:
        return {"color": _COLORS[index % len(_COLORS)]}
    return {"linestyle": "--" if method == "center" else ":", "color": "gray"}


def _title(evaluation: Evaluation, metric: str) -> str:
    return f"{metric} ({evaluation.better[metric]} is better), {len(evaluation)} images"
