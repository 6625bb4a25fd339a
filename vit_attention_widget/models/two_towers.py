"""Two-tower models of anybody's code that keep to the names of OpenAI's CLIP.

``encode_image(images)`` and ``encode_text(ids)`` give features to be compared, and ``logit_scale``
turns their cosine into a logit.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from .automatic import describe_automatically
from .normalizations import CLIP
from .preparation import Preparation, resized_and_cropped
from .text_prompts import TextTower
from .vision_transformer import VisionTransformer

__all__ = ["describe_two_towers", "has_two_towers"]


def has_two_towers(model: nn.Module) -> bool:
    """Whether a model encodes images and texts by the names of OpenAI's CLIP."""
    return all(callable(getattr(model, name, None)) for name in ("encode_image", "encode_text"))


def describe_two_towers(model: Any) -> VisionTransformer:
    """Describe the image side of a two-tower model, its projection included.

    Raises
    ------
    UnsupportedModelError
        If its parts are not found.
    """

    def run(module: Any, inputs: Tensor, size: tuple[int, int]) -> object:
        return module.encode_image(inputs)

    def preparation(size: tuple[int, int], channels: int) -> Preparation:
        ground = "CLIP's mean and deviation are assumed: give transform= if not so"
        return resized_and_cropped(size, CLIP, ground, channels=channels, assumed=True)

    described = describe_automatically(
        model,
        run=run,
        preparation=preparation,
        takes_images_alone=lambda module: module is model,
    )
    described.num_classes = 0
    scale = getattr(model, "logit_scale", None)
    cosine_to_logit = 1 / 0.07 if scale is None else float(scale.detach().float().exp().mean())
    described.text = TextTower(model, model.encode_text, None, cosine_to_logit)
    return described
