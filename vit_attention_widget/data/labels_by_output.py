"""What the labels that come with images mean, by the kind of a model's output."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeGuard

import torch
from torch import Tensor

from ..errors import ParameterError
from ..models import VisionTransformer

__all__ = ["class_labels", "presences"]


def class_labels(labels: list[object], vit: VisionTransformer) -> list[object] | None:
    """The class of each image, or None if the labels name no class that could be explained.

    For a model of values the labels are measurements, and a label of 0s and 1s marks every class at
    once; neither names one. For a single logit they are 0 or 1, of any type.
    """
    if vit.output == "value":
        return None
    if vit.output != "sigmoid":
        return labels
    if any(_is_row(label) for label in labels):
        return None
    return [_whole(label[0] if isinstance(label, list) else label) for label in labels]


def presences(labels: list[object], vit: VisionTransformer) -> Tensor | None:
    """Which classes are present, [image, class] bool; None unless the labels mark every class.

    Raises
    ------
    ParameterError
        If a label marks another number of classes than the model has.
    """
    if vit.output != "sigmoid" or not any(_is_row(label) for label in labels):
        return None
    rows: list[list[object]] = []
    for number, label in enumerate(labels):
        if not _is_row(label) or len(label) != vit.num_classes:
            count = len(label) if _is_row(label) else "one class"
            raise ParameterError(
                f"The label of image {number} is of {count}, but {vit.name} has {vit.num_classes} "
                "classes: give 0 or 1 for each of them."
            )
        rows.append(list(label))
    return torch.tensor(rows) > 0.5


def _is_row(label: object) -> TypeGuard[Sequence[object]]:
    return isinstance(label, Sequence) and not isinstance(label, str) and len(label) > 1


def _whole(label: object) -> object:
    return int(label) if isinstance(label, float) and label in (0.0, 1.0) else label
