"""Importance of every head for one image or many: statistics, and the way out of the notebook."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, wraps
from typing import TYPE_CHECKING, Literal, ParamSpec, TypeVar

import torch
from torch import Tensor

from ..errors import ParameterError
from ..models.output_kind import OutputKind
from ..results.heat_map import heat_map
from ..results.html import block
from ..results.named_values import NamedValues, Variable
from ..results.rows import parts_of
from ..results.storage import JsonObject
from ..results.unfinished import Unfinished, extent_from, skipped_from
from ..statistics.intervals import normal_interval
from ..support.deprecation import renamed_attribute, renamed_choice, warn_renamed
from .metrics import OLD_METRICS, Metric, quantity

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["HeadImportance", "Part"]


_P = ParamSpec("_P")
_R = TypeVar("_R")


def _metric_first(plot: Callable[_P, _R]) -> Callable[_P, _R]:
    """Let a plot take a metric before the axes, as it used to."""
    run: Callable[..., _R] = plot

    @wraps(plot)
    def call(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        if isinstance(next(iter(args[1:]), None), str):
            warn_renamed("HeadImportance.plot(metric)", "HeadImportance.plot(metric=...)")
            return run(args[0], *args[2:], **{**kwargs, "metric": args[1]})
        return plot(*args, **kwargs)

    return call


@dataclass(frozen=True)
class Part:
    """Some of the images: values [image, layer, head] by metric, and [image] for the others.

    Of ``heads`` heads that are removed in turn, from the last layer to the first, the last
    ``heads_left`` are not known yet.
    """

    values: Mapping[Metric, Tensor]
    baseline: Tensor
    labels: Tensor | None
    output: OutputKind = "softmax"
    heads_left: int = 0
    heads: int = 0

    def __len__(self) -> int:
        return len(self.baseline)


@dataclass(frozen=True, eq=False)
class HeadImportance(Unfinished, NamedValues):
    """Importance of every head, for each image.

    Attributes
    ----------
    metrics : tuple of str
        What was computed; the first is :attr:`metric`, whose values are :attr:`values`.
    target : str
        What is explained.
    error : Exception or None
        What ended the computation early, e.g. an error of a data loader; all that was computed
        before is here.
    total : int or None
        Number of images that were to be measured, where that is known.
    ongoing : bool
        Whether more may come: it is one of those that :func:`head_importance_steps` yields.
    skipped : mapping of int to str
        Why an image of the set is not among these, by its number in the set: see ``on_error``.
    complete : bool
        Whether the values of all heads and images are here; :attr:`how_far` says what is.
    """

    kind = "head importance"
    axes = ("image", "layer", "head")

    parts: Sequence[Part] = field(repr=False)
    metrics: tuple[Metric, ...]
    target: str
    error: Exception | None = None
    total: int | None = None
    ongoing: bool = False
    skipped: Mapping[int, str] = field(default_factory=dict)

    stopped = renamed_attribute("error")

    @property
    def done(self) -> int:
        """Number of images of which all heads are known."""
        return sum(len(part.baseline) for part in self.parts if not part.heads_left)

    @property
    def complete(self) -> bool:
        """Whether the values of all heads and images are here."""
        return super().complete and not self._left

    @property
    def how_far(self) -> str:
        """What is here, in words: ``"34 of 144 heads"``, ``"8 of 50 images"``."""
        heads = " and ".join(
            f"{part.heads - part.heads_left} of {part.heads} heads"
            + (f" of {len(part.baseline)} images" if len(part.baseline) > 1 else "")
            for part in self.parts
            if part.heads_left
        )
        images = super().how_far
        if not heads:
            return images
        return heads if not self.done else f"{images}, and {heads} of the next"

    @property
    def _left(self) -> bool:
        return any(part.heads_left for part in self.parts)

    def __getitem__(self, metric: Metric) -> Tensor:
        """Values of a metric, [image, layer, head]."""
        return torch.cat([part.values[self._checked(metric)] for part in self.parts])

    def __repr__(self) -> str:
        about = f"by {', '.join(self.metrics)}, of {self.target!r}"
        return f"<{self._title()}, {about}{self._shortfall()}>"

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
        labels = [part.labels for part in self.parts if part.labels is not None]
        return torch.cat(labels) if len(labels) == len(self.parts) else None

    @property
    def output(self) -> OutputKind:
        """What the model's outputs are; of values ``"probability"`` means the value."""
        return self.parts[0].output

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
        return normal_interval(self[metric or self.metric], level)

    def by_class(self) -> dict[int, HeadImportance]:
        """The images of each class by themselves.

        Raises
        ------
        ParameterError
            If the target is not a class.
        """
        if self.labels is None:
            raise ParameterError(f"The target {self.target!r} is not a class: nothing to sort by.")
        by_class = {}
        for label in sorted(set(self.labels.tolist())):
            of = self.labels == label
            part = Part(
                {m: self[m][of.to(self[m].device)] for m in self.metrics},
                self.baseline[of.to(self.baseline.device)],
                self.labels[of],
                self.output,
            )
            by_class[label] = replace(self, parts=(part,), target=f"class {label}", total=None)
        return by_class

    def ranking(self, metric: Metric | None = None) -> list[tuple[int, int]]:
        """(layer, head), the most important first; pruned heads are left out.

        By probability of a model of values: those first that move the value most, up or down, as
        neither is better.
        """
        mean = self.mean(metric)
        if quantity(metric or self.metric, self.output) == "value":
            mean = mean.abs()
        order = mean.flatten().nan_to_num(-torch.inf).argsort(descending=True, stable=True)
        heads = mean.shape[1]
        pairs = [(i // heads, i % heads) for i in order.tolist()]
        return [(layer, head) for layer, head in pairs if not mean[layer, head].isnan()]

    @_metric_first
    def plot(
        self,
        ax: Axes | None = None,
        *,
        metric: Metric | None = None,
        kind: Literal["grid", "line"] = "grid",
    ) -> Axes:
        """Draw the mean over the images. Needs matplotlib; its figure saves as PNG or SVG.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
        metric : str, optional
            The first by default.
        kind : {"grid", "line"}
            Layers x heads in color, or the line chart of Li et al.: x = 1 + H l + h.

        Returns
        -------
        matplotlib.axes.Axes

        Raises
        ------
        ParameterError
            If the metric was not computed, or matplotlib is not installed.
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

    # What the shared tables and files are made of -------------------------------------------------

    def _variables(self) -> Mapping[str, Variable]:
        values: dict[str, Variable] = {
            metric: Variable(self.axes, self[metric]) for metric in self.metrics
        }
        labels = {} if self.labels is None else {"label": Variable(("image",), self.labels)}
        return {**values, "baseline": Variable(("image",), self.baseline), **labels}

    def _images(self, first: int, last: int) -> HeadImportance:
        return replace(self, parts=parts_of(self.parts, first, last))

    def _to_parts(self) -> tuple[dict[str, Tensor], JsonObject]:
        tensors = {name: variable.values for name, variable in self._variables().items()}
        last = self.parts[-1]
        about = {
            "metrics": self.metrics,
            "target": self.target,
            "output": self.output,
            **self._about_extent(),
            "last": [len(last.baseline), last.heads_left, last.heads],
        }
        return tensors, about

    @classmethod
    def _from_parts(cls, tensors: dict[str, Tensor], about: JsonObject) -> HeadImportance:
        metrics = tuple(about["metrics"])
        values = {metric: tensors[metric] for metric in metrics}
        if not all(value.is_floating_point() for value in values.values()):
            raise TypeError("importances are no floating point numbers")
        part = Part(values, tensors["baseline"], tensors.get("label"), about["output"])
        parts = _with_last(part, *about.get("last", (len(part.baseline), 0, 0)))
        return cls(parts, metrics, about["target"], *extent_from(about), skipped_from(about))

    def _repr_html_(self) -> str:
        maps = (
            heat_map(
                self.mean(metric).T, title=quantity(metric, self.output), caption="head x layer"
            )
            for metric in self.metrics
        )
        return block(f"{self._title()}, of {self.target}{self._shortfall()}", *maps)


def _with_last(part: Part, images: int, heads_left: int, heads: int) -> tuple[Part, ...]:
    """Parts out of a file: the last so many images lack some heads, if any are lacking."""
    if not heads_left:
        return (replace(part, heads=heads),)
    count = len(part.baseline)
    if not (type(images) is int and 0 < images <= count and 0 <= heads_left <= heads):
        raise ValueError("it does not say which heads are known")
    cut = count - images
    return tuple(
        Part(
            {metric: values[some] for metric, values in part.values.items()},
            part.baseline[some],
            None if part.labels is None else part.labels[some],
            part.output,
            left,
            heads,
        )
        for some, left in ((slice(0, cut), 0), (slice(cut, count), heads_left))
        if some.stop > some.start
    )
