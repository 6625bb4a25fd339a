"""Share of images that a model gives their class, with some of its heads masked."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from ..data.image_sets import batches, count
from ..errors import ImageError, ParameterError
from ..models import VisionTransformer, describe
from ..models.eval_mode import evaluating
from ..models.head_index import HeadsLike, check_mask
from ..support.progress import Progress
from ..targets import resolve
from ..tracing.masking import masked_heads

__all__ = ["accuracy"]

_AT_ONCE = 16


def accuracy(
    model: nn.Module | VisionTransformer,
    images: Any,
    labels: Any = None,
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
        A class index or name per image, unless the data set brings them.
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
    total = count(images)
    for part, targets in batches(images, labels, _AT_ONCE):
        if targets is None:
            raise ParameterError("The images have no labels: give (image, label) or labels=[...].")
        inputs = vit.prepare(part)
        with torch.no_grad(), evaluating(vit.model), masked_heads(vit, mask):
            logits = vit.forward(inputs)
        index = resolve(targets, logits, vit).index
        right += int((logits.argmax(-1) == torch.tensor(index, device=logits.device)).sum())
        seen += len(inputs)
        if progress is not None:
            progress(min(1.0, seen / total) if total else 0.0, f"deciding on {seen} images")
    if not seen:
        raise ImageError("There are no images: give at least one.")
    return right / seen
