"""What is left of a model's decision as ever more heads are removed."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn

from ...data.items import ImagesLike
from ...data.labels import with_names_of
from ...data.reader import batches
from ...errors import ParameterError
from ...importance.head_ablation import removals
from ...importance.metrics import METRICS, OLD_METRICS, Metric, exact_values
from ...importance.result import HeadImportance
from ...importance.run import head_importance
from ...importance.upper_layers import recorded_outcome
from ...models import VisionTransformer, describe
from ...models.eval_mode import evaluating
from ...models.head_index import HeadsLike, check_pairs, head_pairs, heads_by_layer
from ...models.output_kind import OutputKind, picks, probabilities
from ...results.csv_file import write_csv
from ...support.deprecation import renamed_choice, renamed_keywords, reordered_arguments
from ...support.progress import Progress
from ...tracing.masking import masked_heads
from ...tracing.model_or_trace import check_nothing_beside_trace
from ...tracing.run import remask, trace
from ...tracing.trace import Trace

__all__ = [
    "CURVE_METRICS",
    "ORDERS",
    "CurveMetric",
    "Order",
    "PruningCurve",
    "pruning_curve",
    "pruning_curve_steps",
]

CurveMetric = Literal["probability", "accuracy"]
Order = Metric | Literal["greedy", "random"]

CURVE_METRICS: tuple[CurveMetric, ...] = ("probability", "accuracy")
ORDERS: tuple[Order, ...] = (*METRICS, "greedy", "random")

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
        The mean over the images after each: the probability of their class (of a model of values
        the value), or the share that is still given its class; ``values[0]`` is the whole model.
    metric : {"probability", "accuracy"}
    order_name : str
    output : {"softmax", "sigmoid", "value"}
        What the model's outputs are; of values ``"probability"`` means the value.
    """

    order: list[tuple[int, int]]
    removed: list[int]
    values: list[float]
    metric: CurveMetric
    order_name: str
    output: OutputKind = "softmax"

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


def _has_order(args: Sequence[Any]) -> bool:
    """Whether the argument after the images is an order, as it used to be."""
    order = args[0]
    if isinstance(order, str):
        return order in ORDERS or order in OLD_METRICS
    if isinstance(order, HeadImportance):
        return True
    return isinstance(order, list | tuple) and bool(order) and all(map(_is_pair, order))


def _is_pair(value: Any) -> bool:
    return isinstance(value, list | tuple) and len(value) == 2


_old_order = reordered_arguments("model_or_trace", "images", "order", "target", moved=_has_order)
_old_names = renamed_keywords({"model": "model_or_trace"})


@_old_names
@_old_order
def pruning_curve(
    model_or_trace: nn.Module | VisionTransformer | Trace,
    images: ImagesLike | None = None,
    target: Any = None,
    *,
    order: Order | HeadImportance | HeadsLike = "probability",
    metric: CurveMetric = "probability",
    steps: int | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> PruningCurve:
    """Remove heads one after another, and see what is left of the decision.

    Parameters
    ----------
    model_or_trace : nn.Module or Trace
        A trace already knows its images, target and masked heads; those stay masked.
    images : image, float tensor, list, data set or loader
        All of them are kept as model input, and run at every step.
    target : optional
        A class index or name, or one per image; None is the label that comes with an image, or
        the class that the whole model predicts.
    order : str, HeadImportance, or heads
        A metric of :func:`head_importance` (least important first, as it stands in the whole
        model; of values those that move it least), ``"greedy"`` (at every step the head whose
        removal costs the least probability, or moves the value least, then), ``"random"``, an
        importance computed before (of other images, say), or the heads, as (layer, head) pairs or
        ``{layer: [heads]}``.
    metric : {"probability", "accuracy"}
        What is drawn. Of a model of values ``"probability"`` is the value, and there is no
        accuracy. Where each class is there or not, an image is given the classes that are more
        probable than not.
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
    >>> curve = vaw.pruning_curve(model, scene.image, order="taylor", steps=4)
    >>> curve.removed
    [0, 1, 2, 3, 4]
    """
    steps_ = pruning_curve_steps(
        model_or_trace,
        images,
        target,
        order=order,
        metric=metric,
        steps=steps,
        seed=seed,
        progress=progress,
    )
    return deque(steps_, maxlen=1)[0]


@_old_names
@_old_order
def pruning_curve_steps(
    model_or_trace: nn.Module | VisionTransformer | Trace,
    images: ImagesLike | None = None,
    target: Any = None,
    *,
    order: Order | HeadImportance | HeadsLike = "probability",
    metric: CurveMetric = "probability",
    steps: int | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> Iterator[PruningCurve]:
    """:func:`pruning_curve`, step by step: yields the curve so far after every head."""
    if metric not in CURVE_METRICS:
        raise ParameterError(f"The metric is {metric!r}: choose 'probability' or 'accuracy'.")
    masked: list[tuple[int, int]] = []
    if isinstance(model_or_trace, Trace):
        check_nothing_beside_trace(images=images, target=target)
        vit, masked = model_or_trace.model, head_pairs(model_or_trace.head_mask)
    else:
        vit = describe(model_or_trace)
        vit = vit if images is None else with_names_of(images, vit)
    prunable = [
        (layer, head)
        for layer, heads in enumerate(vit.num_heads)
        for head in range(heads)
        if (layer, head) not in masked
    ]
    count = len(prunable) if steps is None else steps
    if not 0 < count <= len(prunable):
        raise ParameterError(
            f"steps is {steps}: there are {len(prunable)} heads, so 1 to {len(prunable)} can go."
        )
    if isinstance(model_or_trace, Trace):
        chunks = [_Chunk(model_or_trace, metric, alone=True)]
    else:
        chunks = _chunks(vit, images, target, metric)
    name, order_of_heads = _order(vit, chunks, order, prunable, seed, progress)
    gone: list[tuple[int, int]] = []
    values = [_measured(chunks, metric)]
    output = chunks[0].vit.output
    yield PruningCurve([], [0], values.copy(), metric, name, output)
    for head in order_of_heads:
        if len(gone) == count:
            return
        gone.append(head(chunks) if callable(head) else head)
        for chunk in chunks:
            chunk.prune(gone)
        values.append(_measured(chunks, metric))
        if progress is not None:
            progress(len(gone) / count, f"{name}: {len(gone)} of {count} heads removed")
        removed = list(range(len(values)))
        yield PruningCurve(gone.copy(), removed, values.copy(), metric, name, output)


class _Chunk:
    """Some of the images as the model sees them now, without the heads pruned so far."""

    def __init__(self, first: Trace, metric: CurveMetric, *, alone: bool) -> None:
        index = first.target.index
        if metric == "accuracy" and first.model.output == "value":
            raise ParameterError(
                f"{first.model.name} returns a value, which is neither right nor wrong: draw "
                'metric="probability", the value itself.'
            )
        if index is None:
            raise ParameterError(f"The target {first.target.name!r} is not a class: give one.")
        self.vit, self.inputs, self.labels = first.model, first.inputs, list(index)
        self.logits, self.mask = first.logits, first.head_mask
        self._masked_before = head_pairs(first.head_mask)
        # Many images are run anew each time; for few, the layers below are kept.
        self._trace = first if alone else None

    def prune(self, heads: Sequence[tuple[int, int]]) -> None:
        self.mask = heads_by_layer([*self._masked_before, *heads])
        if self._trace is not None:
            self._trace = remask(self._trace, self.mask)
            self.logits = self._trace.logits
            return
        with evaluating(self.vit.model), torch.no_grad(), masked_heads(self.vit, self.mask):
            self.logits = self.vit.forward(self.inputs)

    def trace(self) -> Trace:
        if self._trace is not None:
            return self._trace
        return trace(self.vit, self.inputs, self.labels, head_mask=self.mask, gradients=False)


def _chunks(
    vit: VisionTransformer, images: ImagesLike | None, target: Any, metric: CurveMetric
) -> list[_Chunk]:
    parts = list(batches(images, target, _IMAGES_AT_ONCE))
    alone = len(parts) == 1
    traces = (trace(vit, *part.prepared(vit), gradients=False) for part in parts)
    return [_Chunk(trace_of_part, metric, alone=alone) for trace_of_part in traces]


def _order(
    vit: VisionTransformer,
    chunks: list[_Chunk],
    order: Order | HeadImportance | HeadsLike,
    prunable: list[tuple[int, int]],
    seed: int,
    progress: Progress | None,
) -> tuple[str, Iterable[tuple[int, int] | Callable[[list[_Chunk]], tuple[int, int]]]]:
    """What to call an order, and its heads; a greedy one finds each when it is its turn."""
    if isinstance(order, HeadImportance):
        return order.metric, [head for head in _ranked(order) if head in prunable]
    if not isinstance(order, str):
        return "given", _given(vit, order, prunable)
    if order == "greedy":
        return order, [_cheapest] * len(prunable)
    if order == "random":
        shuffled = prunable.copy()
        random.Random(seed).shuffle(shuffled)
        return f"random (seed {seed})", shuffled
    metric = renamed_choice("order", order, OLD_METRICS)
    if metric not in METRICS:
        raise ParameterError(f"The order is {order!r}: choose from {', '.join(ORDERS)}.")

    def early(fraction: float, label: str) -> None:
        if progress is not None:
            progress(0.0, label)

    images: list[Any] = [(chunk.inputs, chunk.labels) for chunk in chunks]
    target = None
    if vit.output == "value":  # its labels would be measured values
        images = [image for chunk in chunks for image in chunk.inputs]
        target = [index for chunk in chunks for index in chunk.labels]
    importance = head_importance(
        vit, images, target, metric=metric, head_mask=chunks[0].mask, progress=early
    )
    if vit.output == "value" and metric == "probability":
        return metric, _by_size(importance, prunable)
    return metric, _ranked(importance)


def _ranked(importance: HeadImportance) -> list[tuple[int, int]]:
    return importance.ranking()[::-1]


def _by_size(importance: HeadImportance, prunable: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Heads that move a value least first: up or down is neither better nor worse."""
    moved = importance.mean("probability").abs()
    return sorted(prunable, key=lambda head: float(moved[head]))


def _given(
    vit: VisionTransformer, heads: HeadsLike, prunable: list[tuple[int, int]]
) -> list[tuple[int, int]]:
    pairs = check_pairs(vit, heads)
    if len(set(pairs)) < len(pairs):
        raise ParameterError("The order names a head twice: each can be pruned once.")
    masked = set(pairs) - set(prunable)
    if masked:
        layer, head = min(masked)
        raise ParameterError(f"The order names head {head} of layer {layer}, which is masked.")
    return pairs


def _cheapest(chunks: list[_Chunk]) -> tuple[int, int]:
    """The head whose removal costs the least probability, or moves a value least, as it stands."""
    costs: dict[tuple[int, int], float] = {}
    for chunk in chunks:
        now, labels = chunk.trace(), torch.tensor(chunk.labels)
        for removal in removals(now):
            before = recorded_outcome(now, removal.layer)
            change = exact_values("probability", before, removal.outcome, labels).sum(1)
            for head, cost in zip(removal.heads, change.tolist(), strict=True):
                pair = removal.layer, head
                costs[pair] = costs.get(pair, 0.0) + cost
    is_value = chunks[0].vit.output == "value"
    return min(costs, key=lambda head: abs(costs[head]) if is_value else costs[head])


def _measured(chunks: list[_Chunk], metric: CurveMetric) -> float:
    """Mean over all images of the probability of their class, or of its being the first."""
    total, count = 0.0, 0
    for chunk in chunks:
        labels = torch.tensor(chunk.labels, device=chunk.logits.device)
        read = picks if metric == "accuracy" else probabilities
        total += float(read(chunk.logits, chunk.vit.output).gather(1, labels[:, None]).sum())
        count += len(labels)
    return total / count
