"""The table of an evaluation: methods by metrics, with confidence intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ..errors import ParameterError, VitAttentionError
from ..results.csv_file import Row, write_csv
from ..results.error_text import error_text
from ..results.html import block, notes, table
from ..results.named_values import NamedValues, Variable
from ..results.optional import optional
from ..results.rows import parts_of
from ..results.storage import JsonObject
from ..results.unfinished import Unfinished, counted, extent_from, skipped_from
from ..statistics.intervals import bootstrap_interval
from ..support.deprecation import renamed_attribute, renamed_choice, reordered_arguments
from .baselines import BASELINES, OLD_NAMES
from .metrics import Better

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from pandas import DataFrame

__all__ = ["Evaluation", "Part"]


@dataclass(frozen=True)
class Part:
    """Some of the images: values [image, method, metric], curves [image, method, fraction]."""

    values: Tensor
    curves: Mapping[str, Tensor]
    methods_left: int = 0
    """How many of the methods, the last ones, are not known yet."""

    def __len__(self) -> int:
        return len(self.values)


@dataclass(frozen=True, eq=False)
class Evaluation(Unfinished, NamedValues):
    """How well maps explain a model's decisions, for each method, metric and image.

    Attributes
    ----------
    methods : tuple of str
        The explainers, then the baselines, which do not depend on the model.
    metrics : tuple of str
    better : dict
        ``"higher"`` or ``"lower"`` for each metric.
    fractions : dict
        For each metric that is the area of a curve, the fractions at which the curve is known.
    error : Exception or None
        What ended the evaluation early, e.g. an error of a data set; the values are those of the
        images before.
    failed : dict
        Methods that could not explain some images, with the first error; their values are NaN
        there.
    total : int or None
        Number of images that were to be evaluated, where that is known.
    ongoing : bool
        Whether more may come: it is one of those that :func:`evaluate_steps` yields.
    skipped : mapping of int to str
        Why an image of the set is not among these, by its number in the set: see ``on_error``.
    complete : bool
        Whether all images are here; :attr:`how_far` says how many are.
    """

    kind = "evaluation"
    axes = ("image", "method", "metric")
    table_axes = ("image", "method")

    parts: Sequence[Part] = field(repr=False)
    methods: tuple[str, ...]
    metrics: tuple[str, ...]
    better: Mapping[str, Better] = field(repr=False)
    fractions: Mapping[str, tuple[float, ...]] = field(repr=False)
    error: Exception | None = None
    failed: Mapping[str, Exception] = field(default_factory=dict)
    total: int | None = None
    ongoing: bool = False
    skipped: Mapping[int, str] = field(default_factory=dict)
    stopped = renamed_attribute("error")

    def __repr__(self) -> str:
        about = f"{', '.join(self.methods)} by {', '.join(self.metrics)}"
        return f"<Evaluation of {counted(len(self), None, 'image')}: {about}{self._shortfall()}>"

    def __len__(self) -> int:
        """Number of images."""
        return sum(len(part.values) for part in self.parts)

    @property
    def done(self) -> int:
        """Number of images for which all methods were evaluated."""
        return sum(len(part.values) for part in self.parts if not part.methods_left)

    @property
    def how_far(self) -> str:
        """What is here, in words: ``"8 of 50 images, and 3 of 9 methods of the next 8"``."""
        images = super().how_far
        last = self.parts[-1]
        if not last.methods_left:
            return images
        methods = f"{len(self.methods) - last.methods_left} of {len(self.methods)} methods"
        return f"{images}, and {methods} of the next {len(last.values)}"

    @cached_property
    def values(self) -> Tensor:
        """[image, method, metric], float64; NaN where a value does not exist."""
        return torch.cat([part.values for part in self.parts])

    def __getitem__(self, metric: str) -> Tensor:
        """Values of a metric, [image, method]."""
        return self.values[:, :, self.metrics.index(self._metric(metric))]

    def of(self, method: str, metric: str) -> Tensor:
        """Values of a method and a metric, [image]."""
        return self[metric][:, self._method(method)]

    def mean(self, method: str, metric: str) -> float:
        """Mean over the images that have a value."""
        return float(self.of(method, metric).nanmean())

    def interval(self, method: str, metric: str, level: float = 0.95) -> tuple[float, float]:
        """Bootstrap interval of :meth:`mean` over the images; NaN for a single image.

        See :func:`~..statistics.intervals.bootstrap_interval`.
        """
        return bootstrap_interval(self.of(method, metric), level)

    def against(
        self, method: str, other: str, metric: str, level: float = 0.95
    ) -> tuple[float, float, float]:
        """How much better a method is than another: mean difference, lower and upper end.

        Differences are taken image by image; that tells methods apart whose means have overlapping
        intervals. Above 0 the method is better, whichever direction of the metric is.

        Examples
        --------
        >>> import vit_attention_widget as vaw
        >>> scenes = [vaw.demo.scene(seed=seed) for seed in range(3)]
        >>> table = vaw.evaluate(
        ...     vaw.demo.load_model(),
        ...     [scene.image for scene in scenes],
        ...     masks=[scene.mask for scene in scenes],
        ...     methods="legrad",
        ...     metrics="average_precision",
        ... )
        >>> table.against("legrad", "random", "average_precision")[0] > 0
        True
        """
        difference = self._gain(method, other, metric)
        return float(difference.nanmean()), *bootstrap_interval(difference, level)

    def curve(self, method: str, metric: str) -> tuple[Tensor, Tensor]:
        """Fractions hidden (or shown), and the mean over images at each: [fraction] both.

        Raises
        ------
        ParameterError
            If the metric is not the area of a curve.
        """
        if self._metric(metric) not in self.fractions:
            with_curve = ", ".join(self.fractions) or "none of those computed"
            raise ParameterError(f"{metric} has no curve; these have: {with_curve}.")
        mean = self._curves(metric)[:, self._method(method)].nanmean(0)
        return torch.tensor(self.fractions[metric]), mean

    # Tables and pictures --------------------------------------------------------------------------

    def rows(self, level: float = 0.95) -> list[Row]:
        """One dict for each method and metric: mean, interval, and how many images have a value."""
        rows = []
        for method in self.methods:
            for metric in self.metrics:
                low, high = self.interval(method, metric, level)
                rows.append(
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
        return rows

    def image_rows(self) -> list[Row]:
        """One dict for each image and method, with the value of each metric."""
        by_image = self.values.tolist()
        return [
            {"image": i, "method": method, **dict(zip(self.metrics, values, strict=True))}
            for i, by_method in enumerate(by_image)
            for method, values in zip(self.methods, by_method, strict=True)
        ]

    def to_dataframe(self, *, by_image: bool = False) -> DataFrame:
        """:meth:`rows`, or :meth:`image_rows`, as a pandas table.

        Raises
        ------
        ParameterError
            If pandas is not installed.
        """
        pandas = optional("pandas", "to_dataframe()")
        return pandas.DataFrame(self.image_rows() if by_image else self.rows())

    def to_csv(self, path: str | Path, *, by_image: bool = False) -> None:
        """Write :meth:`rows`, or :meth:`image_rows`, as a table.

        Raises
        ------
        ParameterError
            If the file cannot be written.
        """
        write_csv(path, self.image_rows() if by_image else self.rows())

    @reordered_arguments("self", "metric", moved=lambda args: isinstance(args[0], str))
    def plot(self, ax: Axes | None = None, *, metric: str | None = None) -> Axes:
        """Draw the mean curves of a metric, or its means with their intervals. Needs matplotlib.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
        metric : str, optional
            The first by default.

        Returns
        -------
        matplotlib.axes.Axes

        Raises
        ------
        ParameterError
            If the metric was not computed, or matplotlib is not installed.
        """
        from .plot import plot_curves, plot_means

        metric = self._metric(metric or self.metrics[0])
        return (plot_curves if metric in self.fractions else plot_means)(self, metric, ax)

    def summary(self) -> str:
        """The table as text, and which methods are no better than a baseline."""
        width = max(map(len, self.methods))
        lines = [f"{len(self)} image(s); mean and 95 % bootstrap interval over images"]
        for metric in self.metrics:
            lines += ["", f"{metric} ({self.better[metric]} is better)"]
            for method in self._ranked(metric):
                mean = self._mean_and_interval(method, metric)
                lines.append(f"  {method:<{width}}  {mean}")
        remarks = self._remarks()
        return "\n".join([*lines, "", *remarks] if remarks else lines)

    def _repr_html_(self) -> str:
        arrows = {"higher": "↑", "lower": "↓"}
        columns = {
            f"{metric} {arrows[self.better[metric]]}": [
                self._mean_and_interval(method, metric) for method in self.methods
            ]
            for metric in self.metrics
        }
        title = f"Evaluation of {len(self)} image(s): mean and 95 % bootstrap interval"
        title += self._shortfall()
        shown = table({"method": self.methods, **columns}, limit=len(self.methods))
        return block(title, shown, notes(self._remarks()))

    def _mean_and_interval(self, method: str, metric: str) -> str:
        low, high = self.interval(method, metric)
        interval = f"  [{low:.3f}, {high:.3f}]" if low == low else ""
        return f"{self.mean(method, metric):.3f}{interval}"

    def _ranked(self, metric: str) -> list[str]:
        """Methods by their means, the best first, those without one last."""
        sign = -1 if self.better[metric] == "lower" else 1
        scores = {method: sign * self.mean(method, metric) for method in self.methods}
        ranks = {method: x if x == x else float("-inf") for method, x in scores.items()}
        return sorted(self.methods, key=lambda method: ranks[method], reverse=True)

    def _remarks(self) -> list[str]:
        """What does not beat a baseline, and what went wrong."""
        remarks = []
        for baseline in (each for each in BASELINES if each in self.methods):
            for metric in self.metrics:
                behind = [
                    method
                    for method in self.methods
                    if method not in BASELINES
                    and self._gain(method, baseline, metric).nanmean() <= 0
                ]
                if behind:
                    remarks.append(f"No better than {baseline} by {metric}: {', '.join(behind)}.")
        remarks += [f"{method} failed: {error}" for method, error in self.failed.items()]
        return [*remarks, f"Stopped early: {self.error}"] if self.error is not None else remarks

    def _gain(self, method: str, other: str, metric: str) -> Tensor:
        """How much better a method is than another for each image."""
        difference = self.of(method, metric) - self.of(other, metric)
        return -difference if self.better[metric] == "lower" else difference

    def _curves(self, metric: str) -> Tensor:
        """[image, method, fraction]."""
        return torch.cat([part.curves[metric] for part in self.parts])

    def _method(self, method: str) -> int:
        method = renamed_choice("method", method, OLD_NAMES)
        if method not in self.methods:
            raise ParameterError(
                f"{method!r} was not evaluated, but {', '.join(self.methods)} were: ask for it by "
                f"methods=[{method!r}, ...]."
            )
        return self.methods.index(method)

    def _metric(self, metric: str) -> str:
        if metric not in self.metrics:
            raise ParameterError(
                f"{metric!r} was not computed, but {', '.join(self.metrics)} were: ask for it by "
                f"metrics=[{metric!r}, ...]."
            )
        return metric

    # What the shared tables and files are made of -------------------------------------------------

    def _variables(self) -> Mapping[str, Variable]:
        values = {metric: Variable(("image", "method"), self[metric]) for metric in self.metrics}
        curves = {
            f"{metric} curve": Variable(("image", "method", f"{metric} fraction"), curve)
            for metric, curve in ((each, self._curves(each)) for each in self.fractions)
        }
        return {**values, **curves}

    def _coords(self) -> Mapping[str, Sequence[object]]:
        fractions = {f"{metric} fraction": each for metric, each in self.fractions.items()}
        return {"method": self.methods, **fractions}

    def _images(self, first: int, last: int) -> Evaluation:
        return replace(self, parts=parts_of(self.parts, first, last))

    def _to_parts(self) -> tuple[dict[str, Tensor], JsonObject]:
        curves = {f"curve {metric}": self._curves(metric) for metric in self.fractions}
        about = {
            "methods": self.methods,
            "metrics": self.metrics,
            "better": dict(self.better),
            "fractions": dict(self.fractions),
            **self._about_extent(),
            "last": [len(self.parts[-1].values), self.parts[-1].methods_left],
            "failed": {method: error_text(error) for method, error in self.failed.items()},
        }
        return {"values": self.values, **curves}, about

    @classmethod
    def _from_parts(cls, tensors: dict[str, Tensor], about: JsonObject) -> Evaluation:
        curves = {metric: tensors[f"curve {metric}"] for metric in about["fractions"]}
        error, total, ongoing = extent_from(about)
        return cls(
            _with_last(tensors["values"], curves, *about.get("last", (0, 0))),
            tuple(about["methods"]),
            tuple(about["metrics"]),
            about["better"],
            {metric: tuple(each) for metric, each in about["fractions"].items()},
            error,
            {method: VitAttentionError(text) for method, text in about["failed"].items()},
            total,
            ongoing,
            skipped_from(about),
        )


def _with_last(
    values: Tensor, curves: Mapping[str, Tensor], images: int, methods_left: int
) -> tuple[Part, ...]:
    """Parts out of a file: the last so many images lack some methods, if any are lacking."""
    if not methods_left:
        return (Part(values, curves),)
    cut = len(values) - images
    if not (type(images) is int and 0 <= cut < len(values) and 0 < methods_left < values.shape[1]):
        raise ValueError("it does not say which methods are known")
    some = ((slice(0, cut), 0), (slice(cut, None), methods_left))
    return tuple(
        Part(values[chosen], {name: curve[chosen] for name, curve in curves.items()}, left)
        for chosen, left in some
        if len(values[chosen])
    )
