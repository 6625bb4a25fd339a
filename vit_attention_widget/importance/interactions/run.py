"""How much the importance of the other heads changes when one is gone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from torch import nn

from ...data.items import ImagesLike, count_images
from ...data.labels import with_names_of
from ...data.reader import Batch, batches
from ...errors import ParameterError
from ...models import VisionTransformer, describe
from ...models.head_index import Heads, HeadsLike, check_mask, check_pairs, head_pairs
from ...results.unfinished import warn_if_stopped
from ...runs.batches import in_batches
from ...runs.folder import kept_in
from ...runs.kept import Kept, measured
from ...runs.manifest import manifest
from ...support.progress import Progress, ProgressLike, over_images, reporting
from ...support.steps import last_of
from ...support.stopped import keeping
from ...targets.user_target import TargetLike
from ...tracing.model_or_trace import check_nothing_beside_trace
from ...tracing.trace import Trace
from ...tracing.traced_batch import traced_batch
from ..metrics import METRICS, Metric
from .of_trace import interactions_of_trace
from .result import HeadInteractions

__all__ = ["head_interactions", "head_interactions_steps"]

Head = tuple[int, int]

_IMAGES_AND_HEADS = 64
"""As many images are traced together as make so many variants of a layer."""


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
    progress: ProgressLike = None,
) -> Iterator[HeadInteractions]:
    """:func:`head_interactions`, step by step: yields what is known after each head."""
    if metric not in METRICS:
        raise ParameterError(f"The metric is {metric!r}: choose from {', '.join(METRICS)}.")
    if max_batch is not None and max_batch < 1:
        raise ParameterError(f"max_batch is {max_batch}: at least 1 image must run at once.")
    if isinstance(model_or_trace, Trace):
        check_nothing_beside_trace(images=images, target=target, head_mask=head_mask)
        vit, mask = model_or_trace.model, model_or_trace.head_mask
        total: int | None = model_or_trace.batch_size
        aim: TargetLike = model_or_trace.target.name
    else:
        vit = describe(model_or_trace)
        vit = vit if images is None else with_names_of(images, vit)
        mask, total, aim = check_mask(vit, head_mask), count_images(images), target
    gone = _gone(vit, heads, mask)
    kept = kept_in(
        store,
        HeadInteractions,
        lambda parts: _joined(parts, total),
        _parts_to_go_on_from(start, gone, metric),
        lambda: manifest(
            "head_interactions", vit, metric=metric, heads=gone, target=aim, head_mask=mask,
            total=total,
        ),
    )  # fmt: skip
    with reporting(progress) as report, keeping(kept.gained):
        if isinstance(model_or_trace, Trace):
            measure = partial(
                interactions_of_trace, model_or_trace, gone, metric, max_batch, report
            )
            run = measured(measure, 0, model_or_trace.inputs, kept)
        else:
            run = _of_images(vit, images, target, gone, metric, mask, max_batch, report, kept)
        yield from kept.each(run)


def _of_images(
    vit: VisionTransformer,
    images: ImagesLike | None,
    target: TargetLike,
    gone: Sequence[Head],
    metric: Metric,
    mask: Heads,
    max_batch: int | None,
    progress: Progress,
    kept: Kept[HeadInteractions, HeadInteractions],
) -> Iterator[None]:
    """A few images at a time."""
    at_once = max(1, (max_batch or _IMAGES_AND_HEADS) // max(1, *vit.num_heads))
    measure = partial(_of_batch, gone, metric, mask, max_batch, count_images(images))
    yield from in_batches(batches(images, target, at_once), measure, kept, vit, progress)


def _of_batch(
    gone: Sequence[Head],
    metric: Metric,
    mask: Heads,
    max_batch: int | None,
    total: int | None,
    vit: VisionTransformer,
    progress: Progress,
    batch: Batch,
    before: HeadInteractions | None,
) -> Iterator[HeadInteractions]:
    report = over_images(progress, batch.first, len(batch), total)
    gradients = metric == "taylor"
    for trace, part in traced_batch(vit, batch, head_mask=mask, gradients=gradients):
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


def _joined(parts: Sequence[HeadInteractions], total: int | None) -> HeadInteractions:
    several = tuple(part for each in parts for part in each.parts)
    count = sum(map(len, several))
    names = dict.fromkeys(each.target for each in parts)
    target = next(iter(names)) if len(names) == 1 else "each image's own class"
    ongoing = total is None or count < total or not parts[-1].complete
    first = parts[0]
    return HeadInteractions(several, first.gone, first.metric, target, total=total, ongoing=ongoing)


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
    """How much the importance of every other head changes when one is gone.

    A head is masked, and the importance of all others measured again
    (:func:`~vit_attention_widget.head_importance`); what lies below it is never run again. With
    f(S) what is left without the heads S, by probability the change of b's importance once a is
    gone is

    (f(a) - f(ab)) - (f() - f(b)),

    which is the same for both; so each pair is run once where all heads are asked for. The same
    holds for loss and accuracy; by the other metrics every head is removed beside every other.

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
