"""The vision towers of open_clip, and of its CLIP and SigLIP models."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from ..errors import UnsupportedModelError
from .adapted import AdaptedVisionTransformer, check_batch_first
from .normalizations import CLIP
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
    tower: Any = getattr(model, "visual", model)
    trunk = getattr(tower, "trunk", None)
    if trunk is not None:
        return _timm_inside(model, tower, trunk)
    blocks = getattr(getattr(tower, "transformer", None), "resblocks", None)
    if blocks is None or not hasattr(tower, "class_embedding"):
        raise UnsupportedModelError(
            f"{type(tower).__name__} of open_clip is not supported: it has no "
            "`transformer.resblocks` after a class token. Use a ViT, e.g. "
            "open_clip.create_model('ViT-B-16')."
        )
    if getattr(tower, "attn_pool", None) is not None or tower.pool_type not in ("tok", "avg"):
        raise UnsupportedModelError(
            f"{type(tower).__name__} of open_clip pools by attention (CoCa): how its tokens are "
            "read out is not known here. Use a model that pools by its class token."
        )
    check_batch_first(blocks[0], type(tower).__name__)

    def forward(inputs: Tensor) -> Tensor:
        output = tower(inputs)
        features: Tensor = output[0] if isinstance(output, tuple) else output
        return features

    def readout(tokens: Tensor) -> Tensor:
        pooled, _ = tower._pool(tokens)
        return _projected(pooled)

    def project(vector: Tensor) -> Tensor:
        return _projected(tower.ln_post(vector))

    def _projected(pooled: Tensor) -> Tensor:
        return pooled if tower.proj is None else pooled @ tower.proj

    mean, std = getattr(tower, "image_mean", None), getattr(tower, "image_std", None)
    described = AdaptedVisionTransformer(
        tower,
        list(blocks),
        readout,
        project=project,
        forward=forward,
        patch_size=tower.patch_size,
        prefix=("class",),
        pool="class" if tower.pool_type == "tok" else "mean",
        num_classes=0,
        image_size=tower.image_size,
        normalization=(mean or CLIP[0], std or CLIP[1]),
        name=type(model).__name__,
    )
    described.text = _text(model)
    return described


def _timm_inside(model: nn.Module, tower: Any, trunk: nn.Module) -> VisionTransformer:
    from .libraries import describe as describe_any

    described = describe_any(trunk)
    if len(list(getattr(tower, "head", nn.Sequential()).children())):
        raise UnsupportedModelError(
            f"{type(tower).__name__} of open_clip projects {described.name}'s features once more: "
            "look at its `visual.trunk` by itself."
        )
    described.text = _text(model)
    return described


def _text(model: Any) -> TextTower | None:
    if not hasattr(model, "encode_text"):
        return None
    length = int(getattr(model, "context_length", 77))

    def tokenize(texts: list[str]) -> Tensor:
        import open_clip

        ids: Tensor = open_clip.tokenize(texts, context_length=length)
        return ids

    # With another vocabulary it has a tokenizer of its own.
    bundled = int(getattr(model, "vocab_size", 0)) == _VOCABULARY
    scale = float(model.logit_scale.detach().float().exp().mean())
    return TextTower(model, model.encode_text, tokenize if bundled else None, scale, length)
