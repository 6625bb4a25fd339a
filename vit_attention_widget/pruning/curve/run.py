"""Remove heads one after another."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch import nn

from ...data.items import ImagesLike
from ...data.labels import with_names_of
from ...errors import ParameterError
from ...importance.metrics import OLD_METRICS
from ...importance.result import HeadImportance
from ...models import VisionTransformer, describe
from ...models.head_index import HeadsLike, check_mask, head_pairs
from ...results.unfinished import warn_if_stopped
from ...runs.folder import StoredResult
from ...runs.manifest import manifest
from ...runs.told_images import digest_of_images
from ...support.deprecation import renamed_keywords, reordered_arguments
from ...support.progress import Progress, ProgressLike, reporting
from ...support.steps import last_of
from ...support.stopped import keeping
from ...targets.user_target import TargetLike
from ...tracing.model_or_trace import check_nothing_beside_trace
from ...tracing.trace import Trace
from .chunk import Chunk, chunks_of, mean_outcome
from .order import ORDERS, Order, heads_in_order, importance_for_order, needs_importance
from .result import CURVE_METRICS, CurveMetric, PruningCurve

__all__ = ["pruning_curve", "pruning_curve_steps"]


def _has_order(args: Sequence[object]) -> bool:
    """Whether the argument after the images is an order, as it used to be."""
    order = args[0]
    if isinstance(order, str):
        return order in ORDERS or order in OLD_METRICS
    if isinstance(order, HeadImportance):
        return True
    return isinstance(order, list | tuple) and bool(order) and all(map(_is_pair, order))


def _is_pair(value: object) -> bool:
    return isinstance(value, list | tuple) and len(value) == 2


_old_order = reordered_arguments("model_or_trace", "images", "order", "target", moved=_has_order)
_old_names = renamed_keywords({"model": "model_or_trace"})


@_old_names
@_old_order
def pruning_curve_steps(
    model_or_trace: nn.Module | VisionTransformer | Trace,
    images: ImagesLike | None = None,
    target: TargetLike = None,
    *,
    order: Order | HeadImportance | HeadsLike = "probability",
    metric: CurveMetric = "probability",
    steps: int | None = None,
    head_mask: HeadsLike | None = None,
    seed: int = 0,
    start: PruningCurve | None = None,
    store: str | Path | None = None,
    progress: ProgressLike = None,
) -> Iterator[PruningCurve]:
    """:func:`pruning_curve`, step by step: yields the curve so far after every head."""
    if metric not in CURVE_METRICS:
        raise ParameterError(f"The metric is {metric!r}: choose 'probability' or 'accuracy'.")
    if isinstance(model_or_trace, Trace):
        check_nothing_beside_trace(images=images, target=target, head_mask=head_mask)
        vit, mask = model_or_trace.model, model_or_trace.head_mask
    else:
        vit = describe(model_or_trace)
        vit = vit if images is None else with_names_of(images, vit)
        mask = check_mask(vit, head_mask)
    masked = head_pairs(mask)
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
    with reporting(progress) as report:
        if isinstance(model_or_trace, Trace):
            chunks = [Chunk(model_or_trace, metric, alone=True)]
        else:
            chunks = chunks_of(vit, images, target, metric, mask)
        stored = None
        if store is not None:
            about = {"metric": metric, "order": _said(order), "steps": count, "seed": seed}
            stored, start = _stored(store, start, vit, chunks, about)
        curve = None
        try:
            for curve in _curves(
                vit, chunks, prunable, order, metric, count, seed, start, store, report
            ):
                if stored is not None:
                    stored.save(curve)
                yield curve
        finally:
            if stored is not None and curve is not None:
                stored.save(curve, now=True)


def _said(order: Order | HeadImportance | HeadsLike) -> object:
    if isinstance(order, HeadImportance):
        return [list(head) for head in order.ranking()]
    return order if isinstance(order, str | dict) else str(order)


def _stored(
    store: str | Path,
    start: PruningCurve | None,
    vit: VisionTransformer,
    chunks: list[Chunk],
    about: dict[str, object],
) -> tuple[StoredResult, PruningCurve | None]:
    """The folder, and the curve that is in it, if one is."""
    if start is not None:
        raise ParameterError("start and store were given: both say what to go on from; give one.")
    images = [digest_of_images(chunk.inputs) for chunk in chunks]
    labels = [label for chunk in chunks for label in chunk.labels]
    asked = manifest(
        "pruning_curve", vit, **about, head_mask=chunks[0].mask, labels=labels, images=images
    )
    stored = StoredResult(store, PruningCurve, asked)
    return stored, stored.load()


def _curves(
    vit: VisionTransformer,
    chunks: list[Chunk],
    prunable: list[tuple[int, int]],
    order: Order | HeadImportance | HeadsLike,
    metric: CurveMetric,
    count: int,
    seed: int,
    start: PruningCurve | None,
    store: str | Path | None,
    report: Progress,
) -> Iterator[PruningCurve]:
    """The curve so far, from no head removed, or from what ``start`` has."""
    before = [] if start is None else start.values.tolist()
    values = [mean_outcome(chunks, metric)]
    _check_start(start, metric, values[0])
    importance = None if start is None else start.importance
    name: str = order if isinstance(order, str) else "given"
    removed: list[tuple[int, int]] = []

    def curve() -> PruningCurve:
        means = torch.tensor(values, dtype=torch.float64)
        return PruningCurve(
            means,
            removed.copy(),
            metric,
            name,
            chunks[0].vit.output,
            total=count,
            ongoing=len(removed) < count,
            importance=importance,
        )

    def so_far() -> PruningCurve | None:
        return None if importance is None and not removed else curve()

    with keeping(so_far):
        if needs_importance(order):
            folder = None if store is None else Path(store) / "importance"
            weighings = importance_for_order(vit, chunks, order, importance, folder, report)
            for weighed in weighings:
                importance = weighed
        name, heads = heads_in_order(vit, chunks, order, importance, prunable, seed)
        for head in itertools.islice(() if start is None else start.order, count):
            expected = heads[len(removed)]
            if not callable(expected) and tuple(head) != expected:
                raise ParameterError(
                    f"In start head {head} went in step {len(removed) + 1}, but in this order it "
                    f"is {expected}: go on with the same order."
                )
            removed.append(head)
        if removed:
            values = before[: len(removed) + 1]
            for chunk in chunks:
                chunk.prune(removed)
        yield curve()
        for following in itertools.islice(heads, len(removed), count):
            head = following(chunks) if callable(following) else following
            for chunk in chunks:
                chunk.prune([*removed, head])
            values.append(mean_outcome(chunks, metric))
            removed.append(head)
            report(len(removed) / count, f"{name}: {len(removed)} of {count} heads removed")
            yield curve()


def _check_start(start: PruningCurve | None, metric: CurveMetric, whole: float) -> None:
    """Raise :class:`ParameterError` if ``start`` is of something else."""
    if start is None:
        return
    if not isinstance(start, PruningCurve):
        raise ParameterError(f"start is a {type(start).__name__}, not a PruningCurve.")
    if start.metric != metric:
        raise ParameterError(
            f"start is by {start.metric}, but {metric} was asked for: go on with the same metric."
        )
    if not math.isclose(float(start.values[0]), whole, rel_tol=1e-2, abs_tol=1e-3):
        raise ParameterError(
            "start is of another model or other images: with every head in place its "
            f"{metric} is {float(start.values[0]):.4g}, here {whole:.4g}."
        )


@_old_names
@_old_order
@last_of(pruning_curve_steps)
def pruning_curve(curve: PruningCurve) -> PruningCurve:
    """Prune heads one after another, and follow the decision.

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
    head_mask : dict or iterable of (layer, head), optional
        Heads that are masked at every step: ``{layer: [heads]}`` or pairs.
    seed : int
        Of the random order.
    start : PruningCurve, optional
        What the same call computed before it was stopped; only the rest is computed.
    store : str or Path, optional
        A folder, in which the curve and the importance of heads are written as they are computed.
        The same call goes on from it, also after the process was killed; that of another model,
        other images or options is refused.
    progress : callable or bool, optional
        Called with (fraction, label[, seconds left]); True shows a progress bar. A callback may
        raise :class:`~vit_attention_widget.errors.JobCancelled`.

    Returns
    -------
    PruningCurve

    Raises
    ------
    ParameterError, TargetError, ImageError, UnsupportedModelError

    Warns
    -----
    UserWarning
        If an error ends it after the first heads (also of those that are weighed for the order):
        the curve holds what is known by then, and the error in ``.error``. After Ctrl-C and cancel
        it is what :func:`~vit_attention_widget.kept_result` returns. Images that cannot be read
        raise at once, because all are read before anything else.

    Examples
    --------
    >>> import vit_attention_widget as vaw
    >>> model, scene = vaw.demo.load_model(), vaw.demo.scene(seed=1)
    >>> curve = vaw.pruning_curve(model, scene.image, order="taylor", steps=4)
    >>> curve.removed
    [0, 1, 2, 3, 4]
    """
    warn_if_stopped(curve, "The curve")
    return curve
