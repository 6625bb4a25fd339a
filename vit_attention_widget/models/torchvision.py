"""torchvision's ``vit_*`` models."""

from __future__ import annotations

from torch import nn
from torchvision.models import VisionTransformer as TorchvisionTransformer

from ..errors import UnsupportedModelError
from .automatic import AutomaticVisionTransformer, describe_automatically
from .normalizations import IMAGENET

__all__ = ["describe"]

_CROP = 224 / 256


def describe(model: nn.Module) -> AutomaticVisionTransformer:
    """Describe a torchvision model.

    Raises
    ------
    UnsupportedModelError
        If it is not its ``VisionTransformer``.
    """
    if not isinstance(model, TorchvisionTransformer):
        raise UnsupportedModelError(
            f"{type(model).__name__} of torchvision is not supported: its attention (if it has "
            "any) runs inside windows, not over one grid of patches. Use "
            "torchvision.models.vit_b_16(), or timm's Swin with vaw.window_attention."
        )
    return describe_automatically(
        model, image_size=model.image_size, normalization=IMAGENET, crop=_CROP
    )
