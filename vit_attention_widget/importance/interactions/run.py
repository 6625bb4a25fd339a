"""How much the importance of the other heads changes when one is gone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from functools import partial
from pathlib import Path

from torch import nn

from ...data.items import ImagesLike
from ...data.reader import Batch
from ...errors import ParameterError
from ...models import VisionTransformer
from ...models.head_index import Heads, HeadsLike, check_pairs, head_pairs
from ...results.unfinished import warn_if_stopped
from ...runs.long_run import How, long_run
from ...runs.skipped import OnError
from ...support.progress import Progress, ProgressLike
from ...support.steps import last_of
from ...targets.user_target import TargetLike
from ...tracing.model_or_trace import ModelAndImages
from ...tracing.trace import Trace
from ...tracing.traced_batch import traced_batch
from ..metrics import METRICS, Metric
from ..of_images import check_max_batch, common_target, images_at_once
from .of_trace import interactions_of_trace
from .result import HeadInteractions

__all__ = ["head_interactions", "head_interactions_steps"]

Head = tuple[int, int]


def head_interactions_steps(
    model_or_trace: nn.Module | VisionTransformer | Trace,
    images: ImagesLike | None = None,
    target: TargetLike = None,
    *,
    heads: HeadsLike | None = None,
    metric: Metric = "probability",
    head_mask: HeadsLike | None = None,
    max_batch: int | None = None,
    start: HeadInteractions | None = None,
    store: str | Path | None = None,
    executor: Executor | None = None,
    on_error: OnError | None = None,
    progress: ProgressLike = None,
) -> Iterator[HeadInteractions]:
    """:func:`head_interactions`, step by step: yields what is known after each head."""
    if metric not in METRICS:
        raise ParameterError(f"The metric is {metric!r}: choose from {', '.join(METRICS)}.")
    check_max_batch(max_batch)
    asked = ModelAndImages.of(model_or_trace, images, target, head_mask, executor=executor)
    gone = _gone(asked.vit, heads, asked.head_mask)
    with long_run(
        "head_interactions",
        asked.vit,
        HeadInteractions,
        _joined,
        _parts_to_go_on_from(start, gone, metric),
        How(start, store, executor, on_error, progress),
        asked.total,
        metric=metric,
        heads=gone,
        target=asked.target,
        head_mask=asked.head_mask,
    ) as run:
        if asked.trace is not None:
            measure = partial(
                interactions_of_trace, asked.trace, gone, metric, max_batch, run.report
            )
            steps = run.once(measure, asked.trace.inputs)
        else:
            of_batch = partial(_of_batch, gone, metric, asked.head_mask, max_batch)
            steps = run.over(asked.batches(images_at_once(asked.vit, max_batch)), of_batch)
        yield from run.kept.each(steps)


def _of_batch(
    gone: Sequence[Head],
    metric: Metric,
    mask: Heads,
    max_batch: int | None,
    vit: VisionTransformer,
    report: Progress,
    batch: Batch,
    before: HeadInteractions | None,
) -> Iterator[HeadInteractions]:
    for trace, part in traced_batch(vit, batch, head_mask=mask, gradients=metric == "taylor"):
        whole = before if len(part) == len(batch) else None
        yield from interactions_of_trace(trace, gone, metric, max_batch, report, whole)


def _gone(vit: VisionTransformer, heads: HeadsLike | None, mask: Heads) -> list[Head]:
    """The heads that are to be gone, in order; all that are not masked by default."""
    masked = set(head_pairs(mask))
    every = [(layer, head) for layer, count in enumerate(vit.num_heads) for head in range(count)]
    if heads is None:
        return [head for head in every if head not in masked]
    chosen = list(dict.fromkeys(check_pairs(vit, heads)))
    if not chosen:
        raise ParameterError("heads names none: give at least one, or leave it out for all.")
    for layer, head in chosen:
        if (layer, head) in masked:
            raise ParameterError(f"heads names head {head} of layer {layer}, which is masked.")
    return chosen


def _joined(parts: Sequence[HeadInteractions]) -> HeadInteractions:
    several = tuple(part for each in parts for part in each.parts)
    first = parts[0]
    return HeadInteractions(several, first.gone, first.metric, common_target(parts))


def _parts_to_go_on_from(
    start: HeadInteractions | None, gone: Sequence[Head], metric: Metric
) -> list[HeadInteractions]:
    """What ``start`` holds, in parts of which only the last is incomplete."""
    if start is None:
        return []
    if not isinstance(start, HeadInteractions):
        raise ParameterError(f"start is a {type(start).__name__}, not a HeadInteractions.")
    if start.metric != metric or list(start.gone) != list(gone):
        raise ParameterError(
            f"start is of {len(start.gone)} heads by {start.metric}, but {len(gone)} by {metric} "
            "were asked for: go on with the same call."
        )
    return [
        HeadInteractions((part,), start.gone, metric, start.target, ongoing=part.gone_left > 0)
        for part in start.parts
    ]


@last_of(head_interactions_steps)
def head_interactions(interactions: HeadInteractions) -> HeadInteractions:
    """How much the importance of every other head changes when one is masked.

    A head is masked, and the importance of all others measured again
    (:func:`~vit_attention_widget.head_importance`); the layers below it are never run again. With
    f(S) the probability without the heads S, the change of b's importance once a is masked is

    (f(a) - f(ab)) - (f() - f(b)),

    which is symmetric in a and b, so each pair is run once where all heads are asked for. The same
    holds for loss and accuracy; for the other metrics both orders are run.

    Parameters
    ----------
    model_or_trace : nn.Module or Trace
        A trace already knows its images, target and masked heads.
    images : image, float tensor, list, data set or loader
    target : optional
        A class index or name, or one per image; None is the label that comes with an image, or
        the class that the whole model predicts.
    heads : dict or iterable of (layer, head), optional
        Those that are to be gone, one at a time; all by default. All others are looked at.
    metric : str
        Of :func:`~vit_attention_widget.head_importance`. By ``"taylor"`` all pairs cost one
        backward pass for each head that is gone.
    head_mask : dict or iterable of (layer, head), optional
        Heads that are masked throughout.
    max_batch : int, optional
        At most so many images run at once.
    start : HeadInteractions, optional
        What the same call computed before it was stopped; only the rest is computed.
    store : str or Path, optional
        A folder, in which what is computed is written as it is computed; the same call goes on
        from it.
    executor : Executor, optional
        What computes the batches; as for :func:`~vit_attention_widget.head_importance`.
    on_error : {"raise", "skip", "retry"}, optional
        What becomes of an image that cannot be computed; as for
        :func:`~vit_attention_widget.head_importance`.
    progress : callable or bool, optional
        Called with (fraction, label[, seconds left]); True shows a progress bar.

    Returns
    -------
    HeadInteractions
        ``.values`` [image, gone, layer, head], ``.mean()``, ``.backups()``: the heads that take
        over.

    Raises
    ------
    ParameterError, TargetError, ImageError, UnsupportedModelError, CaptureError

    Warns
    -----
    UserWarning
        If an error ends it after the first heads: the result holds what is known by then, NaN for
        the rest, and the error in ``.error``. After Ctrl-C and cancel it is what
        :func:`~vit_attention_widget.kept_result` returns.

    Examples
    --------
    >>> import vit_attention_widget as vaw
    >>> model, scene = vaw.demo.load_model(), vaw.demo.scene(seed=1)
    >>> interactions = vaw.head_interactions(model, scene.image, heads=[(0, 1), (2, 3)])
    >>> interactions.values.shape
    torch.Size([1, 2, 6, 4])
    """
    warn_if_stopped(interactions, "The interactions of heads")
    return interactions
