"""Share of images that a model gives their class, with some of its heads masked."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor, nn

from ..data.items import ImagesLike, count_images, in_memory
from ..data.labels import Label, LabelsLike, with_labels, with_names_of
from ..data.labels_by_output import presences
from ..data.reader import Batch, batches, has_one_each
from ..errors import ParameterError
from ..models import VisionTransformer, describe
from ..models.classes import class_indices, of_each
from ..models.eval_mode import evaluating
from ..models.head_index import HeadsLike, check_mask
from ..models.output_kind import picks
from ..results.unfinished import warn_if_stopped
from ..runs.long_run import How, long_run
from ..support.progress import Progress, ProgressLike
from ..support.steps import last_known
from ..tracing.checks.classes import classes_as_seen
from ..tracing.masking import masked_heads
from ..tracing.run import check_logits
from .accuracy_result import Accuracy, Decided

__all__ = ["accuracy"]

_AT_ONCE = 16


def accuracy(
    model: nn.Module | VisionTransformer,
    images: ImagesLike,
    labels: Label | LabelsLike | None = None,
    *,
    head_mask: HeadsLike | None = None,
    start: Accuracy | None = None,
    store: str | Path | None = None,
    progress: ProgressLike = None,
) -> Accuracy:
    """Share of the images whose class the model ranks first, in [0, 1].

    With ``output="sigmoid"`` an image counts as correct if its class is more probable than not; for
    multi-label sets every class counts (the share of correct decisions over images and classes).

    Parameters
    ----------
    model : nn.Module
    images : list, data set or loader
        As for :func:`~..importance.run.head_importance`.
    labels : optional
        A class index or name per image in their order, or one for all; None takes the labels that
        come with the images.
    head_mask : dict or iterable of (layer, head), optional
        Heads that are masked: ``{layer: [heads]}`` or pairs.
    start : Accuracy, optional
        What the same call decided before it was stopped; only the other images are run.
    store : str or Path, optional
        A folder, in which what is computed is written as it is computed. The same call goes on from
        it, also after the process was killed; that of another model or other options is refused.
    progress : callable or bool, optional
        Called with (fraction, label[, seconds left]); True shows a progress bar.

    Returns
    -------
    Accuracy
        A float that also knows of how many images it is.

    Raises
    ------
    ParameterError
        If there are no labels.
    TargetError, ImageError, UnsupportedModelError

    Warns
    -----
    UserWarning
        If an error ends it after the first images: it is the share of those, and the error is in
        ``.error``. After Ctrl-C and cancel :func:`~vit_attention_widget.kept_result` returns it.
    """
    share = last_known(_steps(model, images, labels, head_mask, start, store, progress))
    warn_if_stopped(share, "The accuracy")
    return share


def _steps(
    model: nn.Module | VisionTransformer,
    images: ImagesLike,
    labels: Label | LabelsLike | None,
    head_mask: HeadsLike | None,
    start: Accuracy | None,
    store: str | Path | None,
    progress: ProgressLike,
) -> Iterator[Accuracy]:
    vit = with_names_of(images, describe(model))
    mask = check_mask(vit, head_mask)
    total, asked = count_images(images), labels
    if labels is not None and has_one_each(labels) and not in_memory(images):
        images, labels = with_labels(images, labels), None
    with long_run(
        "accuracy",
        vit,
        Decided,
        Accuracy.of,
        _parts_to_go_on_from(start),
        How(start, store, progress=progress),
        total,
        labels=asked,
        head_mask=mask,
    ) as run:

        def measure(
            _: VisionTransformer, report: Progress, batch: Batch, before: Decided | None
        ) -> Iterator[Decided]:
            nonlocal vit
            inputs, target = batch.prepared(vit)
            with evaluating(vit.model), torch.no_grad(), masked_heads(vit, mask):
                logits = vit.forward(inputs)
            check_logits(logits, vit, len(inputs))
            vit = classes_as_seen(vit, logits)
            yield Decided(_right(batch, target, logits, vit), len(inputs))
            report(1.0, "deciding on images")

        yield run.kept.after(run.over(batches(images, labels, _AT_ONCE), measure))


def _parts_to_go_on_from(start: Accuracy | None) -> list[Decided]:
    if start is not None and not isinstance(start, Accuracy):
        raise ParameterError(f"start is a {type(start).__name__}, not what accuracy() returned.")
    return [] if start is None else start.parts()


def _right(batch: Batch, target: object, logits: Tensor, vit: VisionTransformer) -> float:
    """How many images of a batch are decided rightly; of each the share of its classes."""
    picked = picks(logits, vit.output)
    there = presences(batch.target, vit) if isinstance(batch.target, list) else None
    if there is not None:
        return float((picked == there.to(picked.device)).double().mean(-1).sum())
    if vit.output == "value":
        raise ParameterError(
            f"{vit.name} returns a value, which is neither right nor wrong, so it has no accuracy."
        )
    if target is None:
        raise ParameterError("The images have no labels: give (image, label) or labels=[...].")
    return float(of_each(picked, class_indices(target, logits, vit)).sum())
