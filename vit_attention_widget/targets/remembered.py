"""What a memory bank keeps of a few images."""

from __future__ import annotations

from dataclasses import dataclass

import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from ..data.labels import Label, check_label
from ..data.reader import Batch
from ..errors import ParameterError
from ..models import VisionTransformer
from .of_features import features_of

__all__ = ["Remembered", "remembered"]


@dataclass(frozen=True, eq=False)
class Remembered:
    """Features [image, dim] of length 1, and the label of each image."""

    features: Tensor
    labels: list[Label]
    complete: bool = True

    def __len__(self) -> int:
        return len(self.labels)


def remembered(vit: VisionTransformer, batch: Batch) -> Remembered:
    """Run a model on some images.

    Raises
    ------
    ParameterError
        If they come without labels.
    ImageError
        If one cannot be read.
    """
    if batch.target is None:
        raise ParameterError(
            "The images come without labels: give labels=[...], one for each, or a data "
            "set that yields (image, label)."
        )
    numbered = enumerate(batch.target, batch.first)
    labels = [check_label(label, number) for number, label in numbered]
    features = features_of(vit, batch.inputs(vit)).cpu().float()
    return Remembered(F.normalize(features, dim=-1), labels)
