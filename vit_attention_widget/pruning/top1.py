"""Share of images that a model gives their class, with some of its heads masked."""

from __future__ import annotations

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
from ..support.progress import ProgressLike, reporting
from ..tracing.checks.classes import classes_as_seen
from ..tracing.masking import masked_heads

__all__ = ["accuracy"]

_AT_ONCE = 16


def accuracy(
    model: nn.Module | VisionTransformer,
    images: ImagesLike,
    labels: Label | LabelsLike | None = None,
    *,
    head_mask: HeadsLike | None = None,
    progress: ProgressLike = None,
) -> float:
    """Share of the images whose class the model puts first, in [0, 1].

    Where each class is there or not (``output="sigmoid"``), an image is right if its class is more
    probable than not; of all classes of a multi-label set each is counted (the share of the
    decisions, image by image and class by class, that are right).

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
    progress : callable or bool, optional
        Called with (fraction, label); True shows a progress bar.

    Raises
    ------
    ParameterError
        If there are no labels.
    TargetError, ImageError, UnsupportedModelError
    """
    vit, right, count = with_names_of(images, describe(model)), 0.0, 0
    mask = check_mask(vit, head_mask)
    total = count_images(images)
    if labels is not None and has_one_each(labels) and not in_memory(images):
        images, labels = with_labels(images, labels), None
    with reporting(progress) as report:
        for batch in batches(images, labels, _AT_ONCE):
            inputs, target = batch.prepared(vit)
            with evaluating(vit.model), torch.no_grad(), masked_heads(vit, mask):
                logits = vit.forward(inputs)
            vit = classes_as_seen(vit, logits)
            right += _right(batch, target, logits, vit)
            count += len(inputs)
            report(min(1.0, count / total) if total else 0.0, f"deciding on {count} images")
    return right / count


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
