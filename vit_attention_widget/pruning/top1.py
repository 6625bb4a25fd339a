"""Share of images that a model gives their class, with some of its heads masked."""

from __future__ import annotations

import torch
from torch import nn

from ..data.items import ImagesLike, count_images, in_memory
from ..data.labels import Label, LabelsLike, with_labels
from ..data.reader import batches, has_one_each
from ..errors import ParameterError
from ..models import VisionTransformer, describe
from ..models.eval_mode import evaluating
from ..models.head_index import HeadsLike, check_mask
from ..support.progress import Progress
from ..targets.user_target import resolve
from ..tracing.masking import masked_heads

__all__ = ["accuracy"]

_AT_ONCE = 16


def accuracy(
    model: nn.Module | VisionTransformer,
    images: ImagesLike,
    labels: Label | LabelsLike | None = None,
    *,
    head_mask: HeadsLike | None = None,
    progress: Progress | None = None,
) -> float:
    """Share of the images whose class the model puts first, in [0, 1].

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
    progress : callable, optional
        Called with (fraction, label).

    Raises
    ------
    ParameterError
        If there are no labels.
    TargetError, ImageError, UnsupportedModelError
    """
    vit, right, seen = describe(model), 0, 0
    mask = check_mask(vit, head_mask)
    total = count_images(images)
    if labels is not None and has_one_each(labels) and not in_memory(images):
        images, labels = with_labels(images, labels), None
    for batch in batches(images, labels, _AT_ONCE):
        inputs, target = batch.prepared(vit)
        if target is None:
            raise ParameterError("The images have no labels: give (image, label) or labels=[...].")
        with evaluating(vit.model), torch.no_grad(), masked_heads(vit, mask):
            logits = vit.forward(inputs)
        index = resolve(target, logits, vit).index
        right += int((logits.argmax(-1) == torch.tensor(index, device=logits.device)).sum())
        seen += len(inputs)
        if progress is not None:
            progress(min(1.0, seen / total) if total else 0.0, f"deciding on {seen} images")
    return right / seen
