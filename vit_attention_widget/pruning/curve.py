"""What is left of a model's decision as ever more heads are removed."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ..data.image_sets import batches
from ..errors import ImageError, ParameterError
from ..importance.leave_one_out import removals
from ..importance.metrics import exact_values
from ..importance.result import HeadImportance
from ..importance.run import METRICS, head_importance
from ..importance.suffix import recorded_outcome
from ..models import VisionTransformer, describe
from ..models.eval_mode import evaluating
from ..models.head_index import HeadsLike, check_pairs, heads_by_layer
from ..results.csv_file import write_csv
from ..support.progress import Progress
from ..tracing.masking import masked_heads
from ..tracing.run import remask, trace
from ..tracing.trace import Trace

__all__ = ["MEASURES", "ORDERS", "PruningCurve", "pruning_curve", "pruning_curve_steps"]

MEASURES = ("probability", "accuracy")
ORDERS = (*METRICS, "greedy", "random")

_IMAGES_AT_ONCE = 8


@dataclass(frozen=True)
class PruningCurve:
    """A decision against the number of heads removed.

    Attributes
    ----------
    order : list of (layer, head)
        In which they were removed, the least important first.
    removed : list of int
        Numbers of heads removed, from 0.
    values : list of float
        The mean over the images after each: the probability of their class, or the share that is
        still given its class; ``values[0]`` is the whole model.
    metric : {"probability", "accuracy"}
    order_name : str
    """

    order: list[tuple[int, int]]
    removed: list[int]
    values: list[float]
    metric: str
    order_name: str

    def rows(self) -> list[dict[str, Any]]:
        """One dict a step: removed, layer and head that went last (None at first), value."""
        return [
            {"removed": n, "layer": last[0], "head": last[1], self.metric: value}
            for n, last, value in zip(
                self.removed, [(None, None), *self.order], self.values, strict=True
            )
        ]

    def to_dataframe(self) -> Any:
        """:meth:`rows` as a table. Needs pandas."""
        import pandas as pd

        return pd.DataFrame(self.rows())

    def to_csv(self, path: str | Path) -> None:
        """Write :meth:`rows` as a table."""
        write_csv(path, self.rows())

    def plot(self, ax: Any = None) -> Any:
        """Draw it. Needs matplotlib; give ``ax`` to draw several into one picture."""
        from .plot import plot_curve

        return plot_curve(self, ax)


def pruning_curve(
    model: nn.Module | VisionTransformer,
    images: Any,
    order: str | HeadImportance | HeadsLike = "probability",
    target: Any = None,
    *,
    metric: str = "probability",
    steps: int | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> PruningCurve:
    """Remove heads one after another, and see what is left of the decision.

    Parameters
    ----------
    model : nn.Module
    images : image, float tensor, list, data set or loader
        All of them are kept as model input, and run at every step.
    order : str, HeadImportance, or heads
        A metric of :func:`head_importance` (least important first, as it stands in the whole
        model), ``"greedy"`` (at every step the head whose removal costs the least probability
        then), ``"random"``, an importance computed before (of other images, say), or the heads,
        as (layer, head) pairs or ``{layer: [heads]}``.
    target : optional
        A class index or name, or one per image; None is the label that comes with an image, or
        the class that the whole model predicts.
    metric : {"probability", "accuracy"}
        What is drawn.
    steps : int, optional
        How many heads to remove; all by default.
    seed : int
        Of the random order.
    progress : callable, optional
        Called with (fraction, label); it may raise
        :class:`~vit_attention_widget.errors.JobCancelled`.

    Returns
    -------
    PruningCurve

    Raises
    ------
    ParameterError, TargetError, ImageError, UnsupportedModelError

    Examples
    --------
    >>> import vit_attention_widget as vaw
    >>> model, scene = vaw.demo.load_model(), vaw.demo.scene(seed=1)
    >>> curve = vaw.pruning_curve(model, scene.image, "taylor", steps=4)
    >>> curve.removed
    [0, 1, 2, 3, 4]
    """
    steps_ = pruning_curve_steps(
        model, images, order, target, metric=metric, steps=steps, seed=seed, progress=progress
    )
    return deque(steps_, maxlen=1)[0]


def pruning_curve_steps(
    model: nn.Module | VisionTransformer,
    images: Any,
    order: str | HeadImportance | HeadsLike = "probability",
    target: Any = None,
    *,
    metric: str = "probability",
    steps: int | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> Iterator[PruningCurve]:
    """:func:`pruning_curve`, step by step: yields the curve so far after every head."""
    if metric not in MEASURES:
        raise ParameterError(f"The metric is {metric!r}: choose 'probability' or 'accuracy'.")
    vit = describe(model)
    most = sum(vit.num_heads)
    count = most if steps is None else steps
    if not 0 < count <= most:
        raise ParameterError(f"steps is {steps}: there are {most} heads, so 1 to {most} can go.")
    chunks = _chunks(vit, images, target)
    name, heads = _order(vit, chunks, order, seed, progress)
    gone: list[tuple[int, int]] = []
    values = [_measured(chunks, metric)]
    yield PruningCurve([], [0], values.copy(), metric, name)
    for head in heads:
        if len(gone) == count:
            return
        gone.append(head(chunks) if callable(head) else head)
        for chunk in chunks:
            chunk.prune(gone)
        values.append(_measured(chunks, metric))
        if progress is not None:
            progress(len(gone) / count, f"{name}: {len(gone)} of {count} heads removed")
        yield PruningCurve(gone.copy(), list(range(len(values))), values.copy(), metric, name)


class _Chunk:
    """Some of the images as the model sees them now, without the heads pruned so far."""

    def __init__(self, first: Trace, alone: bool) -> None:
        index = first.target.index
        if index is None:
            raise ParameterError(f"The target {first.target.name!r} is not a class: give one.")
        self.vit, self.inputs, self.labels = first.model, first.inputs, list(index)
        self.logits, self.mask = first.logits, dict[int, list[int]]()
        # Many images are run anew each time; for few, the layers below are kept.
        self._trace = first if alone else None

    def prune(self, heads: Sequence[tuple[int, int]]) -> None:
        self.mask = heads_by_layer(heads)
        if self._trace is not None:
            self._trace = remask(self._trace, self.mask)
            self.logits = self._trace.logits
            return
        with torch.no_grad(), evaluating(self.vit.model), masked_heads(self.vit, self.mask):
            self.logits = self.vit.forward(self.inputs)

    def trace(self) -> Trace:
        if self._trace is not None:
            return self._trace
        return trace(self.vit, self.inputs, self.labels, head_mask=self.mask, gradients=False)


def _chunks(vit: VisionTransformer, images: Any, target: Any) -> list[_Chunk]:
    parts = list(batches(images, target, _IMAGES_AT_ONCE))
    if not parts:
        raise ImageError("There are no images: give at least one.")
    alone = len(parts) == 1
    return [_Chunk(trace(vit, *part, gradients=False), alone) for part in parts]


def _order(
    vit: VisionTransformer,
    chunks: list[_Chunk],
    order: str | HeadImportance | HeadsLike,
    seed: int,
    progress: Progress | None,
) -> tuple[str, Iterable[tuple[int, int] | Callable[[list[_Chunk]], tuple[int, int]]]]:
    """What to call an order, and its heads; a greedy one finds each when it is its turn."""
    every = [(layer, head) for layer, n in enumerate(vit.num_heads) for head in range(n)]
    if isinstance(order, HeadImportance):
        return order.metric, _ranked(order)
    if not isinstance(order, str):
        return "given", _given(vit, order)
    if order == "greedy":
        return order, [_cheapest] * len(every)
    if order == "random":
        random.Random(seed).shuffle(every)
        return f"random (seed {seed})", every
    if order not in METRICS:
        raise ParameterError(f"The order is {order!r}: choose from {', '.join(ORDERS)}.")

    def early(fraction: float, label: str) -> None:
        if progress is not None:
            progress(0.0, label)

    labelled = [(chunk.inputs, chunk.labels) for chunk in chunks]
    found = head_importance(vit, labelled, order, progress=early)
    return order, _ranked(found)


def _ranked(found: HeadImportance) -> list[tuple[int, int]]:
    return found.ranking()[::-1]


def _given(vit: VisionTransformer, heads: HeadsLike) -> list[tuple[int, int]]:
    pairs = check_pairs(vit, heads)
    if len(set(pairs)) < len(pairs):
        raise ParameterError("The order names a head twice: each can be removed once.")
    return pairs


def _cheapest(chunks: list[_Chunk]) -> tuple[int, int]:
    """The head whose removal costs the least probability as things stand."""
    costs: dict[tuple[int, int], float] = {}
    for chunk in chunks:
        now, labels = chunk.trace(), torch.tensor(chunk.labels)
        for removal in removals(now):
            before = recorded_outcome(now, removal.layer)
            change = exact_values("probability", before, removal.outcome, labels).sum(1)
            for head, cost in zip(removal.heads, change.tolist(), strict=True):
                at = removal.layer, head
                costs[at] = costs.get(at, 0.0) + cost
    return min(costs, key=lambda at: costs[at])


def _measured(chunks: list[_Chunk], metric: str) -> float:
    """Mean over all images of the probability of their class, or of its being the first."""
    total, count = 0.0, 0
    for chunk in chunks:
        labels = torch.tensor(chunk.labels, device=chunk.logits.device)
        if metric == "accuracy":
            total += int((chunk.logits.argmax(-1) == labels).sum())
        else:
            p = chunk.logits.float().softmax(-1)
            total += float(p.gather(1, labels[:, None]).sum())
        count += len(labels)
    return total / count
