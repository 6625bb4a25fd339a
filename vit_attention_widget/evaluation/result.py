"""The table of an evaluation: methods by metrics, how sure each value is, and the ways out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..errors import ParameterError
from ..results.csv_file import write_csv
from ..statistics.intervals import bootstrap
from ..support.deprecation import renamed_attribute, renamed_choice
from .baselines import BASELINES, OLD_NAMES

__all__ = ["Evaluation", "Part"]


@dataclass(frozen=True)
class Part:
    """Some of the images: values [image, method, metric], curves [image, method, point]."""

    values: Tensor
    curves: Mapping[str, Tensor]


@dataclass(frozen=True)
class Evaluation:
    """How well maps explain a model's decisions, for each method, metric and image.

    Attributes
    ----------
    methods : tuple of str
        The explainers, then the baselines that know nothing of the model.
    metrics : tuple of str
    better : dict
        ``"higher"`` or ``"lower"`` for each metric.
    fractions : dict
        For each metric that is the area of a curve, the shares at which the curve is known.
    error : Exception or None
        What ended the evaluation early, e.g. an error of a data set; all that was computed before
        is here.
    failed : dict
        Methods that could not explain an image, with the first error; their values are NaN there.
    """

    parts: Sequence[Part] = field(repr=False)
    methods: tuple[str, ...]
    metrics: tuple[str, ...]
    better: Mapping[str, str] = field(repr=False)
    fractions: Mapping[str, tuple[float, ...]] = field(repr=False)
    error: Exception | None = None
    failed: Mapping[str, Exception] = field(default_factory=dict)
    stopped = renamed_attribute("error")

    def __len__(self) -> int:
        """Number of images."""
        return sum(len(part.values) for part in self.parts)

    @cached_property
    def values(self) -> Tensor:
        """[image, method, metric]; NaN where a value does not exist."""
        return torch.cat([part.values for part in self.parts])

    def __getitem__(self, metric: str) -> Tensor:
        """Values of a metric, [image, method]."""
        return self.values[:, :, self.metrics.index(self._checked(metric))]

    def of(self, method: str, metric: str) -> Tensor:
        """Values of a method and a metric, [image]."""
        return self[metric][:, self._method(method)]

    def mean(self, method: str, metric: str) -> float:
        """Mean over the images that have a value."""
        return float(self.of(method, metric).nanmean())

    def interval(self, method: str, metric: str, level: float = 0.95) -> tuple[float, float]:
        """Interval of :meth:`mean` over the images by bootstrap; NaN for a single image.

        See :func:`~..statistics.intervals.bootstrap`.
        """
        return bootstrap(self.of(method, metric), level)

    def against(
        self, method: str, other: str, metric: str, level: float = 0.95
    ) -> tuple[float, float, float]:
        """How much better a method is than another: mean difference, lower and upper end.

        Differences are taken image by image, which tells methods apart that the intervals of
        their means do not. Above 0 the method is better, whichever way the metric points.

        Examples
        --------
        >>> import vit_attention_widget as vaw
        >>> scenes = [vaw.demo.scene(seed=seed) for seed in range(3)]
        >>> found = vaw.evaluate(
        ...     vaw.demo.load_model(),
        ...     [scene.image for scene in scenes],
        ...     [scene.mask for scene in scenes],
        ...     methods="legrad",
        ...     metrics="average_precision",
        ... )
        >>> found.against("legrad", "random", "average_precision")[0] > 0
        True
        """
        difference = self._gain(method, other, metric)
        return float(difference.nanmean()), *bootstrap(difference, level)

    def curve(self, method: str, metric: str) -> tuple[Tensor, Tensor]:
        """Shares hidden or shown, and the mean over images at each: [point] and [point].

        Raises
        ------
        ParameterError
            If the metric is no area of a curve.
        """
        if self._checked(metric) not in self.fractions:
            known = ", ".join(self.fractions) or "none of those computed"
            raise ParameterError(f"{metric} has no curve; these have: {known}.")
        values = torch.cat([part.curves[metric] for part in self.parts])
        return torch.tensor(self.fractions[metric]), values[:, self._method(method)].nanmean(0)

    # Out of the notebook ---------------------------------------------------------------------

    def rows(self, level: float = 0.95) -> list[dict[str, Any]]:
        """One dict a method and metric: mean, its interval, and how many images have a value."""
        found = []
        for method in self.methods:
            for metric in self.metrics:
                low, high = self.interval(method, metric, level)
                found.append(
                    {
                        "method": method,
                        "metric": metric,
                        "better": self.better[metric],
                        "mean": self.mean(method, metric),
                        "low": low,
                        "high": high,
                        "images": int((~self.of(method, metric).isnan()).sum()),
                    }
                )
        return found

    def image_rows(self) -> list[dict[str, Any]]:
        """One dict an image and method, with each metric."""
        table = self.values.tolist()
        return [
            {"image": i, "method": method, **dict(zip(self.metrics, values, strict=True))}
            for i, of_image in enumerate(table)
            for method, values in zip(self.methods, of_image, strict=True)
        ]

    def to_dataframe(self, *, by_image: bool = False) -> Any:
        """:meth:`rows`, or :meth:`image_rows`, as a table. Needs pandas."""
        import pandas as pd

        return pd.DataFrame(self.image_rows() if by_image else self.rows())

    def to_csv(self, path: str | Path, *, by_image: bool = False) -> None:
        """Write :meth:`rows`, or :meth:`image_rows`, as a table."""
        write_csv(path, self.image_rows() if by_image else self.rows())

    def plot(self, metric: str | None = None, *, ax: Any = None) -> Any:
        """Draw the mean curves of a metric, or its means with their intervals. Needs matplotlib.

        Parameters
        ----------
        metric : str, optional
            The first by default.
        ax : matplotlib.axes.Axes, optional

        Returns
        -------
        matplotlib.axes.Axes
        """
        from .plot import plot_curves, plot_means

        metric = self._checked(metric or self.metrics[0])
        return (plot_curves if metric in self.fractions else plot_means)(self, metric, ax)

    def summary(self) -> str:
        """The table as text, then what does not beat a map that knows nothing of the model."""
        width = max(map(len, self.methods))
        lines = [f"{len(self)} image(s); mean and 95 % bootstrap interval over images"]
        for metric in self.metrics:
            lines += ["", f"{metric} ({self.better[metric]} is better)"]
            sign = -1 if self.better[metric] == "lower" else 1
            ranked = sorted(
                self.methods, key=lambda m: _last(sign * self.mean(m, metric)), reverse=True
            )
            for method in ranked:
                low, high = self.interval(method, metric)
                span = f"  [{low:.3f}, {high:.3f}]" if low == low else ""
                lines.append(f"  {method:<{width}}  {self.mean(method, metric):.3f}{span}")
        beaten = self._beaten()
        lines += ["", *beaten] if beaten else []
        for method, error in self.failed.items():
            lines.append(f"{method} failed: {error}")
        if self.error is not None:
            lines.append(f"Stopped early: {self.error}")
        return "\n".join(lines)

    def _gain(self, method: str, other: str, metric: str) -> Tensor:
        """How much better a method is than another for each image."""
        difference = self.of(method, metric) - self.of(other, metric)
        return -difference if self.better[metric] == "lower" else difference

    def _beaten(self) -> list[str]:
        found = []
        for base in (b for b in BASELINES if b in self.methods):
            for metric in self.metrics:
                behind = [
                    method
                    for method in self.methods
                    if method not in BASELINES and self._gain(method, base, metric).nanmean() <= 0
                ]
                if behind:
                    found.append(f"No better than {base} by {metric}: {', '.join(behind)}.")
        return found

    def _method(self, method: str) -> int:
        method = renamed_choice("method", method, OLD_NAMES)
        if method not in self.methods:
            raise ParameterError(
                f"{method!r} was not evaluated, but {', '.join(self.methods)}: ask for it by "
                f"methods=[{method!r}, ...]."
            )
        return self.methods.index(method)

    def _checked(self, metric: str) -> str:
        if metric not in self.metrics:
            raise ParameterError(
                f"{metric!r} was not computed, but {', '.join(self.metrics)}: ask for it by "
                f"metrics=[{metric!r}, ...]."
            )
        return metric


def _last(value: float) -> float:
    """NaN as the worst."""
    return value if value == value else float("-inf")
