"""Tiny Vision Transformers of every library besides timm, with what is known of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import open_clip
import pytest
import torch
import torchvision
import transformers as hf
from models import randomise
from torch import Tensor, nn

import vit_attention_widget as vaw

SIZE = {
    "hidden_size": 16,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "image_size": 32,
    "patch_size": 8,
}
TEXT = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "vocab_size": 99,
}
REGISTERS = tuple(f"register {i}" for i in range(4))


@dataclass(frozen=True)
class Tiny:
    """A model of another library, on 4 x 4 patches, with 3 layers of 2 heads."""

    name: str
    create: Callable[[], nn.Module]
    prefix: tuple[str, ...] = ("class",)
    readout: str = "class"
    classes: int = 5

    def build(self, dtype: torch.dtype = torch.float64) -> nn.Module:
        """With random weights, the same each time, in evaluation mode."""
        model = self.create()
        randomise(model)
        return model.to(dtype).eval()

    @property
    def target(self) -> Any:
        """What gradients explain: a class, or one of the features."""
        return None if self.classes else _first_feature


def tiny_clip() -> Any:
    """A CLIP model of open_clip with both towers, on 4 x 4 patches, with random weights."""
    vision = {"image_size": 32, "patch_size": 8, "width": 16, "layers": 3, "head_width": 8}
    text = {"context_length": 16, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 2}
    torch.manual_seed(0)
    return open_clip.CLIP(8, vision, text).eval()


def _first_feature(features: Tensor) -> Tensor:
    return features[:, 0]


def _hf(model: str, config: str, **options: Any) -> Callable[[], nn.Module]:
    """By name: an older version of transformers may not have it."""
    return lambda: getattr(hf, model)(getattr(hf, config)(**{**SIZE, "num_labels": 5, **options}))


class OwnModel(nn.Module):
    """What a user may write: patches, a class token, ``nn.TransformerEncoder``, a head."""

    def __init__(self, norm_first: bool) -> None:
        super().__init__()
        self.patch = nn.Conv2d(3, 16, 8, 8)
        self.cls = nn.Parameter(torch.zeros(1, 1, 16))
        self.position = nn.Parameter(torch.zeros(1, 17, 16))
        layer = nn.TransformerEncoderLayer(
            16, 2, 32, batch_first=True, norm_first=norm_first, activation="gelu"
        )
        self.encoder = nn.TransformerEncoder(layer, 3, enable_nested_tensor=False)
        self.head = nn.Linear(16, 5)

    def forward(self, images: Tensor) -> Tensor:
        tokens = self.patch(images).flatten(2).mT
        tokens = torch.cat([self.cls.expand(len(images), -1, -1), tokens], 1) + self.position
        return self.head(self.encoder(tokens)[:, 0])


def adapted(model: nn.Module) -> Any:
    """A model as it is given to the package: those that are not known are adapted."""
    own = next((m for m in model.modules() if isinstance(m, OwnModel)), None)  # in a wrapper, too
    if own is None:
        return model
    return vaw.adapt(
        model, "encoder.layers", lambda t: own.head(t[:, 0]), patch_size=8, image_size=32
    )


TINY = [
    Tiny("hf-vit", _hf("ViTForImageClassification", "ViTConfig")),
    Tiny(
        "hf-vit-eager",
        _hf("ViTForImageClassification", "ViTConfig", attn_implementation="eager"),
    ),
    Tiny("hf-vit-features", _hf("ViTModel", "ViTConfig"), classes=0),
    Tiny("hf-deit", _hf("DeiTForImageClassification", "DeiTConfig"), ("class", "distilled")),
    Tiny(
        "hf-deit-teacher",
        _hf("DeiTForImageClassificationWithTeacher", "DeiTConfig"),
        ("class", "distilled"),
    ),
    Tiny(
        "hf-beit",
        _hf("BeitForImageClassification", "BeitConfig", use_relative_position_bias=True),
        readout="mean",
    ),
    Tiny("hf-dinov2", _hf("Dinov2ForImageClassification", "Dinov2Config"), readout="mean"),
    Tiny("hf-dinov2-features", _hf("Dinov2Model", "Dinov2Config"), classes=0),
    Tiny(
        "hf-dinov2-registers",
        _hf("Dinov2WithRegistersForImageClassification", "Dinov2WithRegistersConfig"),
        ("class", *REGISTERS),
        "mean",
    ),
    Tiny(
        "hf-dinov3",
        _hf("DINOv3ViTModel", "DINOv3ViTConfig", num_register_tokens=4),
        ("class", *REGISTERS),
        classes=0,
    ),
    Tiny("hf-clip-vision", _hf("CLIPVisionModel", "CLIPVisionConfig"), classes=0),
    Tiny(
        "hf-clip-vision-projected",
        _hf("CLIPVisionModelWithProjection", "CLIPVisionConfig"),
        classes=0,
    ),
    Tiny(
        "hf-clip",
        lambda: hf.CLIPModel(hf.CLIPConfig(text_config=TEXT, vision_config=SIZE, projection_dim=8)),
        classes=0,
    ),
    Tiny(
        "hf-siglip-vision",
        _hf("SiglipVisionModel", "SiglipVisionConfig"),
        (),
        "attention_pool",
        0,
    ),
    Tiny(
        "hf-siglip",
        lambda: hf.SiglipModel(hf.SiglipConfig(text_config=TEXT, vision_config=SIZE)),
        (),
        "attention_pool",
        0,
    ),
    Tiny("hf-mae", _hf("ViTMAEModel", "ViTMAEConfig", mask_ratio=0.0), classes=0),
    Tiny(
        "torchvision",
        lambda: torchvision.models.VisionTransformer(
            image_size=32,
            patch_size=8,
            num_layers=3,
            num_heads=2,
            hidden_dim=16,
            mlp_dim=32,
            num_classes=5,
        ),
    ),
    Tiny(
        "open-clip",
        lambda: open_clip.transformer.VisionTransformer(
            image_size=32, patch_size=8, width=16, layers=3, heads=2, mlp_ratio=2, output_dim=8
        ),
        classes=0,
    ),
    Tiny("own", lambda: OwnModel(norm_first=False)),
    Tiny("own-norm-first", lambda: OwnModel(norm_first=True)),
]
if not hasattr(hf, "DINOv3ViTModel"):  # before transformers 4.56
    TINY = [tiny for tiny in TINY if tiny.name != "hf-dinov3"]

QUICK = {"hf-vit", "hf-dinov2-registers", "hf-siglip", "torchvision", "open-clip", "own"}
"""One model of a kind: what is tested with all of them is slow with the others."""

MODELS = [
    pytest.param(tiny, id=tiny.name, marks=() if tiny.name in QUICK else pytest.mark.slow)
    for tiny in TINY
]
