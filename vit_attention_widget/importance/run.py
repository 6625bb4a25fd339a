"""How much each head matters for a decision: what changes when it is removed."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ..data.items import ImagesLike, count_images
from ..data.labels import with_names_of
from ..data.reader import Batch, batches, until_error
from ..errors import ImageError, ParameterError, TargetError
from ..models import VisionTransformer, describe
from ..models.head_index import Heads, HeadsLike, check_mask
from ..support.deprecation import (
    renamed_choice,
    renamed_keywords,
    reordered_arguments,
    warn_renamed,
)
from ..support.progress import Progress
from ..tracing.memory import is_out_of_memory, release
from ..tracing.model_or_trace import check_nothing_beside_trace
from ..tracing.run import trace
from ..tracing.trace import Trace
from .head_ablation import removals
from .metrics import EXACT, METRICS, NEED_A_CLASS, OLD_METRICS, Metric, exact_values, lacking
from .result import HeadImportance, Part
from .taylor import taylor
from .upper_layers import recorded_outcome

__all__ = ["HeadImportance", "head_importance", "head_importance_steps"]


def _has_metric(args: Sequence[Any]) -> bool:
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
def head_importance(
    model_or_trace: nn.Module | VisionTransformer | Trace,
    images: ImagesLike | None = None,
    target: Any = None,
    *,
    metric: Metric | Sequence[Metric] = "probability",
    head_mask: HeadsLike | None = None,
    max_batch: int | None = None,
    progress: Progress | None = None,
    on_update: Callable[[HeadImportance], None] | None = None,
) -> HeadImportance:
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
    progress : callable, optional
        Called with (fraction, label); it may raise
        :class:`~vit_attention_widget.errors.JobCancelled`.
    on_update : callable, optional
        Deprecated: iterate over :func:`head_importance_steps`.

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
        If a data set or loader raises after the first images: the result holds those, and the
        error in ``.stopped``.

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
    if on_update is not None:
        warn_renamed("head_importance(on_update=...)", "head_importance_steps(...)")
    steps = head_importance_steps(
        model_or_trace,
        images,
        target,
        metric=metric,
        head_mask=head_mask,
        max_batch=max_batch,
        progress=progress,
    )
    found = None
    for found in steps:
        if on_update is not None:
            on_update(found)
    assert found is not None
    if found.stopped is not None:
        warnings.warn(
            f"The importance of heads was computed for {len(found)} images only, then "
            f"{type(found.stopped).__name__} stopped it: {found.stopped}",
            stacklevel=2,
        )
    return found


@_old_names
@_old_order
def head_importance_steps(
    model_or_trace: nn.Module | VisionTransformer | Trace,
    images: ImagesLike | None = None,
    target: Any = None,
    *,
    metric: Metric | Sequence[Metric] = "probability",
    head_mask: HeadsLike | None = None,
    max_batch: int | None = None,
    progress: Progress | None = None,
) -> Iterator[HeadImportance]:
    """:func:`head_importance`, step by step: yields what is known so far, ever more of it.

    Stop whenever it is enough; what was yielded stays. Parameters are those of
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
    if max_batch is not None and max_batch < 1:
        raise ParameterError(f"max_batch is {max_batch}: at least 1 image must run at once.")
    if isinstance(model_or_trace, Trace):
        check_nothing_beside_trace(images=images, target=target, head_mask=head_mask)
        for name, part, _ in _steps_of_trace(model_or_trace, metrics, max_batch, progress):
            yield HeadImportance((part,), metrics, name)
        return
    vit = describe(model_or_trace)
    vit = vit if images is None else with_names_of(images, vit)
    mask = check_mask(vit, head_mask)
    at_once = max(1, (max_batch or _IMAGES_AND_HEADS) // max(1, *vit.num_heads))
    total, names = count_images(images), dict[str, None]()
    parts: list[Part] = []
    for batch in until_error(batches(images, target, at_once)):
        stopped = batch if isinstance(batch, Exception) else None
        try:
            if not isinstance(batch, Exception):
                done = sum(len(part.baseline) for part in parts)
                report = progress and _report(progress, done, len(batch), total)
                steps = _steps(vit, batch, metrics, mask, max_batch, report)
                for name, part, complete in steps:
                    names[name] = None
                    yield HeadImportance((*parts, part), metrics, _explained(names))
                    if complete:
                        parts.append(part)
        except (ImageError, TargetError) as error:
            stopped = error
        if stopped is not None:
            if not parts:
                raise stopped
            yield HeadImportance(tuple(parts), metrics, _explained(names), stopped=stopped)
            return


def _explained(names: Sequence[str] | dict[str, None]) -> str:
    return next(iter(names)) if len(names) == 1 else "each image's own class"


_IMAGES_AND_HEADS = 64
"""As many images are traced together as make so many variants of a layer."""


def _steps(
    vit: VisionTransformer,
    batch: Batch,
    metrics: tuple[Metric, ...],
    head_mask: Heads,
    max_batch: int | None,
    report: Progress | None,
) -> Iterator[tuple[str, Part, bool]]:
    """What is known of a batch of images, ever more of it: target, values, whether that is all."""
    try:
        found = trace(
            vit,
            *batch.prepared(vit),
            head_mask=head_mask,
            gradients="taylor" in metrics,
            progress=report if metrics == ("taylor",) else None,
        )
    except RuntimeError as error:
        halves = batch.halves()
        if not is_out_of_memory(error) or halves is None:
            raise
    else:
        yield from _steps_of_trace(found, metrics, max_batch, report)
        return
    release(vit.device)
    for half in halves:
        yield from _steps(vit, half, metrics, head_mask, max_batch, report)


def _steps_of_trace(
    found: Trace,
    metrics: tuple[Metric, ...],
    max_batch: int | None,
    report: Progress | None,
) -> Iterator[tuple[str, Part, bool]]:
    exact = [metric for metric in metrics if metric in EXACT]
    labels = _labels(found, exact)
    _check_defined(found, metrics)
    baseline = _baseline(found, labels)
    shape = (found.batch_size, found.num_layers, max(found.num_heads))
    values = {metric: found.probabilities.new_full(shape, torch.nan) for metric in metrics}
    if "taylor" in metrics:
        values["taylor"] = taylor(found)

    def part() -> Part:
        return Part({m: v.clone() for m, v in values.items()}, baseline, labels)

    name, left = found.target.name, _heads_left(found)
    if not exact or not left:
        yield name, part(), True
        return
    if "taylor" in metrics:
        yield name, part(), False
    for removal in removals(found, max_batch=max_batch, progress=report):
        before = recorded_outcome(found, removal.layer)
        for metric in exact:
            change = exact_values(metric, before, removal.outcome, labels)
            values[metric][:, removal.layer, removal.heads] = change.T.to(values[metric])
        left -= len(removal.heads)
        yield name, part(), left == 0


def _labels(found: Trace, exact: Sequence[str]) -> Tensor | None:
    """The class of each image, [image]; None where the target is not a class."""
    if found.target.index is not None:
        return torch.tensor(found.target.index)
    needy = next((metric for metric in exact if metric in NEED_A_CLASS), None)
    if needy is not None:
        raise ParameterError(
            f"The target {found.target.name!r} is not a class, so it has no {needy}: give a class "
            'index or name, or choose metric="taylor", "jsd" or "class_token_cosine".'
        )
    return None


def _check_defined(trace: Trace, metrics: Sequence[Metric]) -> None:
    """Raise :class:`ParameterError` if a metric is not defined for what the model returns."""
    kind = trace.model.output
    undefined = next((metric for metric in metrics if metric in lacking(kind)), None)
    if undefined is not None:
        defined = [metric for metric in METRICS if metric not in lacking(kind)]
        raise ParameterError(
            f"There is no {undefined} of what {trace.model.name} returns, which is "
            f"{'a value' if kind == 'value' else 'features'}, not probabilities: choose from "
            f'{", ".join(defined)}, or say output="softmax" or output="sigmoid" of the model.'
        )


def _baseline(found: Trace, labels: Tensor | None) -> Tensor:
    """With every head in place; NaN where nothing is explained, as no exact metric needs it."""
    if labels is not None:
        return found.probabilities[torch.arange(found.batch_size), labels]
    try:
        return found.target.score(found.logits)
    except TargetError:
        return found.probabilities.new_full((found.batch_size,), torch.nan)


def _heads_left(found: Trace) -> int:
    return sum(found.num_heads) - sum(len(heads) for heads in found.head_mask.values())


def _report(progress: Progress, done: int, size: int, total: int | None) -> Progress:
    """Progress over all images from that over the next few."""
    if total == 1:
        return progress

    def report(fraction: float, label: str) -> None:
        share = min(1.0, (done + fraction * size) / total) if total else 0.0
        progress(share, f"{label}, image {done}" + (f" of {total}" if total else ""))

    return report


def _checked_metrics(metric: Metric | Sequence[Metric]) -> tuple[Metric, ...]:
    names = [metric] if isinstance(metric, str) else metric
    metrics = tuple(dict.fromkeys(renamed_choice("metric", name, OLD_METRICS) for name in names))
    for name in metrics or (metric,):
        if name not in METRICS:
            raise ParameterError(f"The metric is {name!r}: choose from {', '.join(METRICS)}.")
    return metrics
