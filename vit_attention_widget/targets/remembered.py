"""What a memory bank keeps of a few images."""

from __future__ import annotations

from dataclasses import dataclass

import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from ..data.labels import Label, check_label
from ..data.reader import Batch
from ..errors import ParameterError
from ..models import VisionTransformer
from ..results.named_values import Variable
from ..results.rows import rows_of
from ..results.storage import JsonObject
from .of_features import features_of

__all__ = ["Remembered", "remembered"]


@dataclass(frozen=True, eq=False)
class Remembered:
    """Features [image, dim] of length 1, and the label of each image."""

    features: Tensor
    labels: list[Label]
    complete: bool = True

    kind = "memory bank"

    def __len__(self) -> int:
        return len(self.labels)

    def _stored(self) -> dict[str, Variable]:
        """What a folder shows to other tools."""
        return {"feature": Variable(("image", "dimension"), self.features)}

    def _images(self, first: int, last: int) -> Remembered:
        return rows_of(self, first, last)

    def _to_parts(self) -> tuple[dict[str, Tensor], JsonObject]:
        return {"features": self.features}, {"labels": self.labels}

    @classmethod
    def _from_parts(cls, tensors: dict[str, Tensor], about: JsonObject) -> Remembered:
        features, labels = tensors["features"], list(about["labels"])
        if features.ndim != 2 or len(features) != len(labels) or not features.isfinite().all():
            raise ValueError("features and labels do not fit")
        return cls(features, labels)


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
