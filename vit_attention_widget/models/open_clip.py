"""The vision towers of open_clip, and of its CLIP, SigLIP and CoCa models."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from ..errors import UnsupportedModelError
from .automatic import describe_automatically
from .normalizations import CLIP
from .preparation import Preparation, resized_and_cropped
from .text_prompts import TextTower
from .vision_transformer import VisionTransformer

__all__ = ["describe"]

_VOCABULARY = 49408
"""Of the tokenizer that comes with open_clip."""


def describe(model: nn.Module) -> VisionTransformer:
    """Describe an open_clip model, or the vision tower of one.

    The model's features [batch, dim] stand where a classifier's logits would; what a gradient
    explains is a callable of them, or text prompts.

    Raises
    ------
    UnsupportedModelError
        If the vision tower is no plain Vision Transformer.
    """
    tower: nn.Module = getattr(model, "visual", model)
    described = _tower(tower)
    described.num_classes, described.names = 0, None
    if tower is not model:
        described.name = type(model).__name__
    described.text = _text(model)
    return described


def _tower(tower: nn.Module) -> VisionTransformer:
    trunk = getattr(tower, "trunk", None)
    if isinstance(trunk, nn.Module) and not list(getattr(tower, "head", nn.Module()).children()):
        from .libraries import describe as describe_any

        return describe_any(trunk)  # the tower is nothing but a timm model
    try:
        return describe_automatically(
            tower,
            image_size=getattr(tower, "image_size", None),
            preparation=lambda size, channels: _preparation(tower, size, channels),
        )
    except UnsupportedModelError as error:
        raise UnsupportedModelError(
            f"{error} Of open_clip, towers that are plain Vision Transformers are supported, e.g. "
            "open_clip.create_model('ViT-B-16')."
        ) from None


def _preparation(tower: nn.Module, size: tuple[int, int], channels: int) -> Preparation:
    """By the tower's own ``preprocess_cfg``, or as most of open_clip's are."""
    from open_clip.transform import PreprocessCfg, image_transform_v2

    mean, std = getattr(tower, "image_mean", None), getattr(tower, "image_std", None)
    config = getattr(tower, "preprocess_cfg", None) or {}
    mean, std = config.get("mean") or mean or CLIP[0], config.get("std") or std or CLIP[1]
    if channels != 3:
        return resized_and_cropped(size, (mean, std), "open_clip", channels=channels)
    settings = PreprocessCfg(**{**config, "size": size, "mean": mean, "std": std})
    ground = "the tower's preprocess_cfg" if config else "open_clip's defaults"
    transform = image_transform_v2(settings, is_train=False)
    name = f"open_clip's transform to {size[0]} x {size[1]}"
    return Preparation(transform, (mean, std), name, ground)


def _text(model: Any) -> TextTower | None:
    if not hasattr(model, "encode_text"):
        return None
    texts = getattr(model, "text", model)
    length = int(getattr(texts, "context_length", getattr(model, "context_length", 77)))

    def tokenize(texts: list[str]) -> Tensor:
        import open_clip

        ids: Tensor = open_clip.tokenize(texts, context_length=length)
        return ids

    # With another vocabulary it has a tokenizer of its own.
    bundled = _vocabulary(model, texts) == _VOCABULARY
    scale = float(model.logit_scale.detach().float().exp().mean())
    bias = getattr(model, "logit_bias", None)
    told = None if bias is None else float(bias.detach().float().mean())
    return TextTower(model, model.encode_text, tokenize if bundled else None, scale, length, told)


def _vocabulary(*towers: object) -> int:
    return next((int(tower.vocab_size) for tower in towers if hasattr(tower, "vocab_size")), 0)
