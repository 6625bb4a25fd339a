"""Importance of every head for one image or many: statistics, and the way out of the notebook."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from statistics import NormalDist
from typing import Any

import torch
from torch import Tensor

from ..errors import ParameterError
from ..results.csv_file import write_csv
from ..support.deprecation import renamed_choice
from .metrics import OLD_METRICS, Metric

__all__ = ["HeadImportance", "Part"]


@dataclass(frozen=True)
class Part:
    """Some of the images: values [image, layer, head] by metric, and [image] for the others."""

    values: Mapping[Metric, Tensor]
    baseline: Tensor
    labels: Tensor | None


@dataclass(frozen=True)
class HeadImportance:
    """Importance of every head, for each image.

    Attributes
    ----------
    metrics : tuple of str
        What was computed; the first is :attr:`metric`, whose values are :attr:`values`.
    target : str
        What is explained.
    stopped : Exception or None
        What ended the computation early, e.g. an error of a data loader; all that was computed
        before is here.
    """

    parts: Sequence[Part] = field(repr=False)
    metrics: tuple[Metric, ...]
    target: str
    stopped: Exception | None = None

    def __getitem__(self, metric: Metric) -> Tensor:
        """Values of a metric, [image, layer, head]."""
        return torch.cat([part.values[self._checked(metric)] for part in self.parts])

    def __len__(self) -> int:
        return sum(len(part.baseline) for part in self.parts)

    @property
    def metric(self) -> Metric:
        """The first metric."""
        return self.metrics[0]

    @cached_property
    def values(self) -> Tensor:
        """[image, layer, head] of the first metric.

        NaN where a layer has fewer heads than the widest one, where the head was pruned before,
        and where a partial result is not known yet.
        """
        return self[self.metric]

    @cached_property
    def baseline(self) -> Tensor:
        """[image], the probability of the class (or the value) with every head in place.

        The target itself where it is not a class.
        """
        return torch.cat([part.baseline for part in self.parts])

    @cached_property
    def labels(self) -> Tensor | None:
        """[image], the class of each image, where the target is one."""
        found = [part.labels for part in self.parts]
        return torch.cat([f for f in found if f is not None]) if None not in found else None

    def mean(self, metric: Metric | None = None) -> Tensor:
        """Mean over the images, [layer, head]."""
        return self[metric or self.metric].nanmean(0)

    def interval(self, level: float = 0.95, metric: Metric | None = None) -> tuple[Tensor, Tensor]:
        """Confidence interval of the mean over the images: (low, high), each [layer, head].

        The normal approximation; trust it from some 30 images on. NaN for a single image.

        Raises
        ------
        ParameterError
            If ``level`` is not between 0 and 1.
        """
        if not 0 < level < 1:
            raise ParameterError(f"level is {level}: it lies between 0 and 1, e.g. 0.95.")
        values = self[metric or self.metric]
        known = (~values.isnan()).sum(0)
        mean = values.nanmean(0)
        variance = (values - mean).square().nansum(0) / (known - 1).clamp_min(0)
        half = NormalDist().inv_cdf(0.5 + level / 2) * (variance / known).sqrt()
        return mean - half, mean + half

    def by_class(self) -> dict[int, HeadImportance]:
        """The images of each class by themselves.

        Raises
        ------
        ParameterError
            If the target is not a class.
        """
        if self.labels is None:
            raise ParameterError(f"The target {self.target!r} is not a class: nothing to sort by.")
        found = {}
        for label in sorted(set(self.labels.tolist())):
            of = self.labels == label
            part = Part(
                {m: self[m][of.to(self[m].device)] for m in self.metrics},
                self.baseline[of.to(self.baseline.device)],
                self.labels[of],
            )
            found[label] = replace(self, parts=(part,), target=f"class {label}")
        return found

    def ranking(self, metric: Metric | None = None) -> list[tuple[int, int]]:
        """(layer, head), the most important first; pruned heads are left out."""
        mean = self.mean(metric)
        order = mean.flatten().nan_to_num(-torch.inf).argsort(descending=True, stable=True)
        heads = mean.shape[1]
        pairs = [(i // heads, i % heads) for i in order.tolist()]
        return [(layer, head) for layer, head in pairs if not mean[layer, head].isnan()]

    # Numbers out -----------------------------------------------------------------------------

    def rows(self) -> list[dict[str, Any]]:
        """One dict a head and image: image, layer, head, and each metric; pruned heads left out."""
        tables = {metric: self[metric].tolist() for metric in self.metrics}
        first = tables[self.metric]
        return [
            {
                "image": image,
                "layer": layer,
                "head": head,
                **{metric: table[image][layer][head] for metric, table in tables.items()},
            }
            for image, layers in enumerate(first)
            for layer, heads in enumerate(layers)
            for head, value in enumerate(heads)
            if value == value
        ]

    def to_dataframe(self) -> Any:
        """One row a head and image: image, layer, head, and a column a metric. Needs pandas."""
        import pandas as pd

        return pd.DataFrame(self.rows(), columns=["image", "layer", "head", *self.metrics])

    def to_xarray(self) -> Any:
        """A data set with the axes image, layer and head, and a variable a metric. Needs xarray."""
        import xarray as xr

        axes = ("image", "layer", "head")
        values = {metric: (axes, self[metric].cpu().numpy()) for metric in self.metrics}
        shape = self.values.shape
        coords: dict[str, Any] = {a: range(n) for a, n in zip(axes, shape, strict=True)}
        if self.labels is not None:
            coords["label"] = ("image", self.labels.cpu().numpy())
        baseline = {"baseline": ("image", self.baseline.cpu().numpy())}
        return xr.Dataset({**values, **baseline}, coords, attrs={"target": self.target})

    def to_csv(self, path: str | Path) -> None:
        """Write :meth:`rows` as a table."""
        write_csv(path, self.rows())

    def plot(self, metric: Metric | None = None, *, kind: str = "grid", ax: Any = None) -> Any:
        """Draw the mean over the images. Needs matplotlib; its figure saves as PNG or SVG.

        Parameters
        ----------
        metric : str, optional
        kind : {"grid", "line"}
            Layers x heads in colour, or the line chart of Li et al.: x = 1 + H l + h.
        ax : matplotlib.axes.Axes, optional

        Returns
        -------
        matplotlib.axes.Axes
        """
        from .plot import plot_grid, plot_line

        draw = {"grid": plot_grid, "line": plot_line}.get(kind)
        if draw is None:
            raise ParameterError(f"kind is {kind!r}: choose 'grid' or 'line'.")
        return draw(self, self._checked(metric or self.metric), ax)

    def _checked(self, metric: Metric) -> Metric:
        metric = renamed_choice("metric", metric, OLD_METRICS)
        if metric not in self.metrics:
            raise ParameterError(
                f"{metric!r} was not computed, but {', '.join(self.metrics)}: ask for it by "
                f"head_importance(..., metric=[{metric!r}, ...])."
            )
        return metric
