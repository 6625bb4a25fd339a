"""How much each head matters for a decision: what changes when it is removed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from functools import partial
from pathlib import Path

from torch import nn

from ..data.items import ImagesLike
from ..data.reader import Batch
from ..errors import ParameterError
from ..models import VisionTransformer
from ..models.head_index import Heads, HeadsLike
from ..results.unfinished import warn_if_skipped
from ..runs.long_run import How, long_run
from ..runs.skipped import OnError
from ..support.deprecation import renamed_choice, renamed_keywords, reordered_arguments
from ..support.progress import Progress, ProgressLike, no_progress
from ..support.steps import last_of
from ..support.warn import warn_caller
from ..targets.user_target import TargetLike
from ..tracing.model_or_trace import ModelAndImages
from ..tracing.trace import Trace
from ..tracing.traced_batch import traced_batch
from .metrics import METRICS, OLD_METRICS, Metric
from .of_images import check_max_batch, common_target, images_at_once
from .of_trace import steps_of_trace
from .result import HeadImportance

__all__ = ["HeadImportance", "head_importance", "head_importance_steps"]


def _has_metric(args: Sequence[object]) -> bool:
    """Whether the argument after the images is a metric, or several, as it used to be."""
    names = [args[0]] if isinstance(args[0], str) else args[0]
    return (
        isinstance(names, Sequence)
        and bool(names)
        and all(
            isinstance(name, str) and (name in METRICS or name in OLD_METRICS) for name in names
        )
    )


_old_order = reordered_arguments("model_or_trace", "images", "metric", "target", moved=_has_metric)
_old_names = renamed_keywords({"model": "model_or_trace"})


@_old_names
@_old_order
def head_importance_steps(
    model_or_trace: nn.Module | VisionTransformer | Trace,
    images: ImagesLike | None = None,
    target: TargetLike = None,
    *,
    metric: Metric | Sequence[Metric] = "probability",
    head_mask: HeadsLike | None = None,
    max_batch: int | None = None,
    start: HeadImportance | None = None,
    store: str | Path | None = None,
    executor: Executor | None = None,
    on_error: OnError | None = None,
    progress: ProgressLike = None,
) -> Iterator[HeadImportance]:
    """:func:`head_importance`, step by step: yields what is known so far, ever more of it.

    Stop whenever it is enough; what was yielded stays. Of very many images it yields less often, so
    that joining what is known does not take ever longer. Parameters are those of
    :func:`head_importance`.

    Examples
    --------
    >>> import vit_attention_widget as vaw
    >>> scenes = (vaw.demo.scene(seed=s).image for s in range(3))
    >>> for importance in vaw.head_importance_steps(vaw.demo.load_model(), scenes, metric="jsd"):
    ...     if len(importance) == 2:
    ...         break
    >>> importance.mean().shape
    torch.Size([6, 4])
    """
    metrics = _checked_metrics(metric)
    check_max_batch(max_batch)
    asked = ModelAndImages.of(model_or_trace, images, target, head_mask, executor=executor)
    with long_run(
        "head_importance",
        asked.vit,
        HeadImportance,
        partial(_joined, metrics),
        _parts_to_go_on_from(start, metrics, asked.vit),
        How(start, store, executor, on_error, progress),
        asked.total,
        metric=metrics,
        target=asked.target,
        head_mask=asked.head_mask,
    ) as run:
        if asked.trace is not None:
            measure = partial(steps_of_trace, asked.trace, metrics, max_batch, run.report)
            steps = run.once(measure, asked.trace.inputs)
        else:
            of_batch = partial(_of_batch, metrics, asked.head_mask, max_batch)
            steps = run.over(asked.batches(images_at_once(asked.vit, max_batch)), of_batch)
        yield from run.kept.each(steps)


def _of_batch(
    metrics: tuple[Metric, ...],
    mask: Heads,
    max_batch: int | None,
    vit: VisionTransformer,
    report: Progress,
    batch: Batch,
    before: HeadImportance | None,
) -> Iterator[HeadImportance]:
    for trace, part in traced_batch(
        vit,
        batch,
        head_mask=mask,
        gradients="taylor" in metrics,
        progress=report if metrics == ("taylor",) else no_progress,
    ):
        whole = before if len(part) == len(batch) else None
        yield from steps_of_trace(trace, metrics, max_batch, report, whole)


def _joined(metrics: tuple[Metric, ...], parts: Sequence[HeadImportance]) -> HeadImportance:
    several = tuple(part for importance in parts for part in importance.parts)
    return HeadImportance(several, metrics, common_target(parts))


def _parts_to_go_on_from(
    start: HeadImportance | None, metrics: tuple[Metric, ...], vit: VisionTransformer
) -> list[HeadImportance]:
    """What ``start`` holds, in parts of which only the last is incomplete.

    Raises
    ------
    ParameterError
        If it is no importance of these metrics, or of a model with other heads.
    """
    if start is None:
        return []
    if not isinstance(start, HeadImportance):
        raise ParameterError(f"start is a {type(start).__name__}, not a HeadImportance.")
    if start.metrics != metrics:
        raise ParameterError(
            f"start has {', '.join(start.metrics)}, but {', '.join(metrics)} was asked for: go on "
            "with the same metrics."
        )
    shape = (vit.num_layers, max(vit.num_heads))
    if start.values.shape[1:] != shape:
        raise ParameterError(
            f"start is of {start.values.shape[1]} layers of {start.values.shape[2]} heads, but "
            f"{vit.name} has {shape[0]} of {shape[1]}: it is of another model."
        )
    return [
        HeadImportance((part,), metrics, start.target, ongoing=part.heads_left > 0)
        for part in start.parts
    ]


def _checked_metrics(metric: Metric | Sequence[Metric]) -> tuple[Metric, ...]:
    names = [metric] if isinstance(metric, str) else metric
    metrics = tuple(dict.fromkeys(renamed_choice("metric", name, OLD_METRICS) for name in names))
    for name in metrics or (metric,):
        if name not in METRICS:
            raise ParameterError(f"The metric is {name!r}: choose from {', '.join(METRICS)}.")
    return metrics


@_old_names
@_old_order
@last_of(head_importance_steps, on_update=True)
def head_importance(importance: HeadImportance) -> HeadImportance:
    r"""Importance of every head of a model, for each of one or many images.

    All metrics but ``"taylor"`` remove one head at a time (its output is zeroed before the output
    projection) and compare what the model makes of the image with and without it. They are exact,
    come from the same runs, and never repeat the layers below the removed head.

    ================== ================================================================ ==========
    metric             what                                                             range
    ================== ================================================================ ==========
    probability        fall of the class's probability (Li et al. 2023, section 5.1)    -1 to 1
    jsd                Jensen-Shannon divergence of the output distributions            0 to ln 2
    class_token_cosine 1 - cosine of the class token (or what is pooled) after the      0 to 2
                       layer
    loss               rise of the cross-entropy, in nats
    accuracy           1 where the class is no longer first; its mean is the fall of    -1 to 1
                       the accuracy
    taylor             :math:`|\sum O \, \partial y / \partial O|`, an estimate of      at least 0
                       all heads from one backward pass (Michel et al. 2019, eq. 1)
    ================== ================================================================ ==========

    What is compared follows what the model's outputs are (:func:`~vit_attention_widget.describe`).
    Where each class is there or not (``"sigmoid"``), the probability is the sigmoid of the class's
    logit, jsd the mean over the classes of the divergence of Bernoulli distributions, loss the
    binary cross-entropy of the class's presence, and accuracy asks whether the class is more
    probable than not. Of a ``"value"``, ``probability`` is the fall of the value itself; jsd, loss
    and accuracy are not defined.

    ``class_token_cosine`` looks at the head's own layer, so it compares heads of a layer with each
    other rather than layers.

    Parameters
    ----------
    model_or_trace : nn.Module or Trace
        A trace already knows its images, target and masked heads.
    images : image, float tensor, list, data set or loader
        Many images are taken a few at a time. What a data set or loader yields may be images,
        (images, labels), or mappings with ``image`` and ``label``.
    target : optional
        A class index or name, or one per image; None is the label that comes with an image, or
        the predicted class.
    metric : str or sequence of str
        Several cost as much as one.
    head_mask : dict or iterable of (layer, head), optional
        Heads that are pruned already: ``{layer: [heads]}`` or pairs.
    max_batch : int, optional
        At most so many images of one head fewer run at once; chosen from the free memory by
        default. Where it is too many after all, half of it is taken.
    start : HeadImportance, optional
        What the same call computed before it was stopped; only the rest is computed.
    store : str or Path, optional
        A folder, in which what is computed is written as it is computed. The same call goes on from
        it, also after the process was killed; that of another model or other options is refused.
    executor : Executor, optional
        What computes the batches: one of ``concurrent.futures``, or Dask's
        ``client.get_executor(pure=False, retries=2)``. Its workers read the images, best given as
        paths, and load the model once. Without it all is computed here.
    on_error : {"raise", "skip", "retry"}, optional
        What becomes of an image that cannot be read, or whose worker fails each time. ``"skip"``
        goes on without it: ``.skipped`` names it, and the same call does not try it again;
        ``"retry"`` does. ``"raise"``, the default without ``executor``, ends there.
    progress : callable or bool, optional
        Called with (fraction, label[, seconds left]); True shows a progress bar. A callback may
        raise :class:`~vit_attention_widget.errors.JobCancelled`.

    Returns
    -------
    HeadImportance
        ``.values`` [image, layer, head], ``.mean()`` and ``.interval()`` [layer, head].

    Raises
    ------
    ParameterError, TargetError, ImageError, UnsupportedModelError, CaptureError

    Warns
    -----
    UserWarning
        If an error ends the computation after the first heads: the result holds what is known by
        then (:attr:`HeadImportance.how_far`), NaN for the rest, and the error in ``.error``. After
        Ctrl-C and cancel it is what :func:`~vit_attention_widget.kept_result` returns.

    Examples
    --------
    >>> import vit_attention_widget as vaw
    >>> model = vaw.demo.load_model()
    >>> image = vaw.demo.scene(seed=1).image
    >>> importance = vaw.head_importance(model, image, metric=["probability", "jsd"])
    >>> importance.values.shape == (1, len(model.blocks), model.blocks[0].attn.num_heads)
    True
    >>> importance["jsd"].shape == importance.values.shape
    True
    """
    if importance.error is not None:
        how_far = importance.how_far if importance._left else f"{len(importance)} images"
        warn_caller(
            f"The importance of heads was computed for {how_far} only, then "
            f"{type(importance.error).__name__} stopped it: {importance.error}"
        )
    warn_if_skipped(importance)
    return importance
