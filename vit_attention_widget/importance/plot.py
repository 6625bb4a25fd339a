"""Pictures of head importance, by matplotlib."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..results.drawing import axes_or_new
from .metrics import Metric, quantity

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from .result import HeadImportance

__all__ = ["plot_grid", "plot_line"]


def plot_grid(importance: HeadImportance, metric: Metric, ax: Axes | None) -> Axes:
    """Layers x heads; orange where removing a head hurts, blue where it helps."""
    ax = axes_or_new(ax)
    values = importance.mean(metric).T.cpu()
    most = float(values.nan_to_num(0).abs().max()) or 1.0
    image = ax.imshow(values.numpy(), cmap="PuOr_r", vmin=-most, vmax=most, origin="lower")
    ax.figure.colorbar(image, ax=ax, label=f"{quantity(metric, importance.output)}: importance")
    ax.set(xlabel="layer", ylabel="head", title=_title(importance))
    return ax


def plot_line(importance: HeadImportance, metric: Metric, ax: Axes | None) -> Axes:
    """The line chart of Li et al. 2023: x = 1 + H l + h, x = 0 the whole model.

    For ``"probability"`` y is the probability (or value) without the head, else the metric.
    """
    ax = axes_or_new(ax)
    values = importance.mean(metric)
    y = values.flatten().cpu()
    start = 0.0
    if metric == "probability":
        start = float(importance.baseline.mean())
        y = start - y
    ax.plot(range(1 + len(y)), [start, *y.tolist()], marker=".", linewidth=1)
    ax.axhline(start, linestyle=":", linewidth=1, color="gray")
    for layer in range(values.shape[0] + 1):
        ax.axvline(0.5 + values.shape[1] * layer, linewidth=0.5, color="gray", alpha=0.4)
    name = quantity(metric, importance.output)
    label = f"{name} without the head" if metric == "probability" else name
    ax.set(xlabel="1 + heads x layer + head (0: the whole model)", ylabel=label)
    ax.set_title(_title(importance))
    return ax


def _title(importance: HeadImportance) -> str:
    several = f", mean of {len(importance)} images" if len(importance) > 1 else ""
    return f"{importance.target}{several}"
