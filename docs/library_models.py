"""Tiny models of transformers, open_clip, torchvision and others' code, with random weights.

``docs/models.py`` writes what works with them to ``docs/models.md``; a test holds it to that.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

SIZE = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4, "image_size": 32,
        "intermediate_size": 64, "patch_size": 8, "num_labels": 7}  # fmt: skip
TEXT = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 4,
        "intermediate_size": 64, "vocab_size": 99, "num_key_value_heads": 4}  # fmt: skip
MAPPINGS = (
    "IMAGE_CLASSIFICATION", "ZERO_SHOT_IMAGE_CLASSIFICATION", "BACKBONE", "MASKED_IMAGE_MODELING",
    "IMAGE", "VIDEO_CLASSIFICATION",
)  # fmt: skip
MORE = (
    "CLIPVisionModelWithProjection", "MetaClip2VisionModelWithProjection", "CLIPVisionModel",
    "SiglipVisionModel", "ChineseCLIPVisionModel", "AltCLIPVisionModel", "BlipVisionModel",
    "Blip2VisionModel", "InstructBlipVisionModel", "GitVisionModel", "OwlViTModel", "Owlv2Model",
    "OwlViTVisionModel", "Owlv2VisionModel", "Aimv2Model", "CLIPSegVisionModel", "FlavaImageModel",
    "InternVLVisionModel", "JanusVisionModel", "MLCDVisionModel", "GroupViTVisionModel",
    "SamVisionModel", "ViltModel", "LlavaForConditionalGeneration",
    "LlavaOnevisionForConditionalGeneration", "VideoLlavaForConditionalGeneration",
    "PaliGemmaForConditionalGeneration", "Kosmos2Model",
)  # fmt: skip
TOO_LARGE = 2e7
"""Parameters of a model that a small configuration does not make small."""


@dataclass
class Case:
    """A model to try."""

    library: str
    name: str
    create: Callable[[], nn.Module]
    size: tuple[int, int] = (32, 32)


def cases(only: Collection[str] | None = None) -> Iterator[Case]:
    """All models, library by library, or only those with some names."""
    yield from _transformers(only)
    for library in (_open_clip, _torchvision, _others):
        yield from (case for case in library() if only is None or case.name in only)


def _transformers(only: Collection[str] | None) -> Iterator[Case]:
    import transformers
    from transformers.models.auto import modeling_auto as auto

    names = set(MORE)
    for mapping in MAPPINGS:
        for entry in getattr(auto, f"MODEL_FOR_{mapping}_MAPPING_NAMES").values():
            names.update([entry] if isinstance(entry, str) else entry)
    for name in sorted(names if only is None else names.intersection(only)):
        try:
            kind = getattr(transformers, name)
            create = _tiny(kind)
        except Exception:  # not in this version, wants another package, or cannot be small
            continue
        if create is not None:
            yield Case("transformers", name, create)


def _tiny(kind: Any) -> Callable[[], nn.Module] | None:
    """How to build a small model of a class; None where its configuration does not allow it."""
    config = kind.config_class
    parts = getattr(config, "sub_configs", {})
    if "vision_config" in parts:
        options: dict[str, Any] = {"vision_config": SIZE}
        if "text_config" in parts:
            options["text_config"] = TEXT
        if "ImageClassification" in kind.__name__:
            options["num_labels"] = SIZE["num_labels"]
    else:
        options = dict(SIZE)
        if "mask_ratio" in inspect.signature(config).parameters:
            options["mask_ratio"] = 0.0
        if "encoder_stride" in inspect.signature(config).parameters:
            options["encoder_stride"] = SIZE["patch_size"]
    made = config(**options)
    with torch.device("meta"):
        if sum(p.numel() for p in kind(made).parameters()) > TOO_LARGE:
            return None

    def create() -> nn.Module:
        return kind(config(**options))

    return create


def _open_clip() -> Iterator[Case]:
    import open_clip
    from open_clip.coca_model import CoCa
    from open_clip.model import CustomTextCLIP

    text = {"context_length": 16, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1}
    vision = {"image_size": 32, "patch_size": 8, "width": 32, "layers": 3, "head_width": 8}
    pooled = {**vision, "attentional_pool": True, "attn_pooler_heads": 2}
    kinds = {
        "CLIP": vision,
        "CLIP, pool_type avg": {**vision, "pool_type": "avg"},
        "CLIP, final_ln_after_pool": {**vision, "final_ln_after_pool": True},
        "CLIP, attentional_pool": pooled,
    }
    for name, tower in kinds.items():
        yield Case("open_clip", name, lambda tower=tower: open_clip.CLIP(8, tower, text))
    yield Case(
        "open_clip",
        "CoCa",
        lambda: CoCa(
            8,
            {**text, "mlp_ratio": 2},
            {**text, "embed_cls": True, "output_tokens": True},
            {**pooled, "output_tokens": True},
        ),
    )
    towers = {
        "EVA": ("eva02_tiny_patch14_224", "token", None),
        "BiomedCLIP's projection": ("vit_tiny_patch16_224", "token", "linear"),
        "a projection of two layers": ("vit_tiny_patch16_224", "avg", "mlp"),
        "MobileCLIP's ViT": ("vit_base_mci_224", "token", None),
        "PE": ("vit_pe_core_tiny_patch16_384", "map", None),
    }
    for name, (timm_name, pool, projection) in towers.items():
        options = {"timm_model_name": timm_name, "timm_pool": pool, "timm_proj": projection}
        side = 384 if "384" in timm_name else 224
        options["image_size"] = side
        yield Case(
            "open_clip",
            f"CustomTextCLIP, {name}",
            lambda options=options: _of_few_blocks(CustomTextCLIP(16, options, text)),
            (side, side),
        )


def _of_few_blocks(model: Any) -> Any:
    """A model whose tower is timm's, which is as deep as its name says, with three blocks of it."""
    trunk = model.visual.trunk
    trunk.blocks = trunk.blocks[: SIZE["num_hidden_layers"]]
    return model


def _torchvision() -> Iterator[Case]:
    import torchvision

    vit = torchvision.models.VisionTransformer
    yield Case("torchvision", "VisionTransformer", lambda: vit(32, 8, 3, 4, 32, 64, num_classes=7))
    yield Case("torchvision", "swin_t", torchvision.models.swin_t)
    yield Case("torchvision", "resnet18", torchvision.models.resnet18)


def _others() -> Iterator[Case]:
    from others_code import READ

    for name, (create, _) in READ.items():
        yield Case("others", name, create)
