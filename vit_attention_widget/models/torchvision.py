"""torchvision's ``vit_*`` models."""

from __future__ import annotations

from torch import nn
from torchvision.models import VisionTransformer as TorchvisionTransformer
from torchvision.transforms import InterpolationMode
from torchvision.transforms._presets import ImageClassification

from ..errors import UnsupportedModelError
from .automatic import AutomaticVisionTransformer, describe_automatically
from .normalizations import IMAGENET
from .preparation import Preparation, resized_and_cropped

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
    return describe_automatically(model, image_size=model.image_size, preparation=_preset)


def _preset(size: tuple[int, int], channels: int) -> Preparation:
    """As torchvision prepares for its weights: those for larger inputs are not cropped (SWAG)."""
    side = size[0]
    if channels != 3 or size[0] != size[1]:
        return resized_and_cropped(size, IMAGENET, "torchvision", crop=_CROP, channels=channels)
    swag = side > 224
    transform = ImageClassification(
        crop_size=side,
        resize_size=side if swag else round(side / _CROP),
        interpolation=InterpolationMode.BICUBIC if swag else InterpolationMode.BILINEAR,
    )
    weights = "IMAGENET1K_SWAG_E2E_V1" if swag else "IMAGENET1K_V1"
    return Preparation(
        transform, IMAGENET, f"ImageClassification to {side} x {side}", f"as for {weights}"
    )
