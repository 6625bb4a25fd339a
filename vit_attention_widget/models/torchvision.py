"""torchvision's ``vit_*`` models."""

from __future__ import annotations

from torch import Tensor, nn
from torchvision.models import VisionTransformer as TorchvisionTransformer

from ..errors import UnsupportedModelError
from .adapted import AdaptedVisionTransformer
from .classifier import classifier_width
from .normalizations import IMAGENET

__all__ = ["describe"]

_CROP = 224 / 256


def describe(model: nn.Module) -> AdaptedVisionTransformer:
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
    encoder, heads = model.encoder, model.heads

    def readout(tokens: Tensor) -> Tensor:
        logits: Tensor = heads(encoder.ln(tokens)[:, 0])
        return logits

    width = classifier_width(heads)
    return AdaptedVisionTransformer(
        model,
        list(encoder.layers),
        readout,
        patch_size=model.patch_size,
        prefix=("class",),
        pool="class",
        num_classes=model.num_classes if width is None else width,
        image_size=model.image_size,
        normalization=IMAGENET,
        crop=_CROP,
    )
