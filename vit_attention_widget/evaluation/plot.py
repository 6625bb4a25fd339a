"""Pictures of an evaluation, by matplotlib."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..results.drawing import axes_or_new
from .baselines import BASELINES

if TYPE_CHECKING:
    from .result import Evaluation
    from .sanity.result import SanityCheck

__all__ = ["plot_curves", "plot_means", "plot_stages"]

_COLOURS = [f"C{k}" for k in range(10) if k != 7]
"""matplotlib's own but grey, which the baselines have."""


def plot_curves(found: Evaluation, metric: str, ax: Any) -> Any:
    """The mean curve of each method; baselines dashed and grey."""
    ax = axes_or_new(ax)
    for place, method in enumerate(found.methods):
        fractions, values = found.curve(method, metric)
        label = f"{method} {found.mean(method, metric):.3f}"
        ax.plot(
            fractions.numpy(), values.numpy(), linewidth=1.2, label=label, **_look(method, place)
        )
    shown = "shown" if metric.startswith("insertion") else "hidden"
    what = "class first" if metric.startswith(("positive", "negative")) else "probability"
    ax.set(xlabel=f"share of patches {shown}", ylabel=what)
    ax.set_title(f"{metric} ({found.better[metric]} is better), {len(found)} images", fontsize=9)
    ax.legend(fontsize=7)
    return ax


def plot_means(found: Evaluation, metric: str, ax: Any) -> Any:
    """The mean of each method with its interval, the best at the top."""
    ax = axes_or_new(ax)
    sign = -1 if found.better[metric] == "lower" else 1
    methods = sorted(found.methods, key=lambda m: sign * found.mean(m, metric))
    for place, method in enumerate(methods):
        mean, (low, high) = found.mean(method, metric), found.interval(method, metric)
        colour = "gray" if method in BASELINES else "C0"
        if low == low:
            ax.plot([low, high], [place, place], linewidth=1.2, color=colour)
        ax.plot([mean], [place], marker="o", markersize=4, color=colour)
    ax.set_yticks(range(len(methods)), methods, fontsize=7)
    ax.set_title(f"{metric} ({found.better[metric]} is better), {len(found)} images", fontsize=9)
    return ax


def plot_stages(found: SanityCheck, ax: Any) -> Any:
    """Rank correlation with the original map, from the top layer down."""
    ax = axes_or_new(ax)
    for place, method in enumerate(found.methods):
        values, look = found.mean(method), _look(method, place)
        ax.plot(range(len(values)), values.numpy(), linewidth=1.2, label=method, **look)
    ax.set_xticks(range(len(found.stages)), found.stages, rotation=90, fontsize=7)
    ax.axhline(0, linewidth=0.5, color="gray")
    ax.set(ylabel="rank correlation with the original map", xlabel="made random, from the top to")
    ax.legend(fontsize=7)
    return ax


def _look(method: str, place: int) -> dict[str, Any]:
    if method not in BASELINES:
        return {"color": _COLOURS[place % len(_COLOURS)]}
    return {"linestyle": "--" if method == "center" else ":", "color": "gray"}
