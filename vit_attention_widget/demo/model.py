"""The bundled model: a small timm VisionTransformer that knows the ten kinds of objects."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from safetensors.torch import load_file
from timm.models.vision_transformer import VisionTransformer

from .scenes import IMAGE_SIZE
from .shapes import KINDS

__all__ = ["MEAN", "PATCH", "STD", "WEIGHTS", "build_model", "load_model"]

WEIGHTS = Path(__file__).with_name("weights.safetensors")
MEAN = STD = (0.5, 0.5, 0.5)
PATCH = 8


def build_model(image_size: int = IMAGE_SIZE) -> VisionTransformer:
    """The untrained model: 6 layers of 4 heads, patches of 8 pixels, 10 x 10 of them."""
    model = VisionTransformer(
        img_size=image_size,
        patch_size=PATCH,
        embed_dim=64,
        depth=6,
        num_heads=4,
        mlp_ratio=3,
        num_classes=len(KINDS),
    )
    config: Any = {
        "architecture": "vit_scenes_patch8_80",
        "input_size": (3, image_size, image_size),
        "mean": MEAN,
        "std": STD,
        "crop_pct": 1.0,
        "interpolation": "bicubic",
        "num_classes": len(KINDS),
        "label_names": list(KINDS),
    }
    model.pretrained_cfg = config
    return model


def load_model() -> VisionTransformer:
    """The trained model, in evaluation mode.

    Examples
    --------
    >>> import vit_attention_widget as vaw
    >>> vaw.demo.load_model().num_classes
    10
    """
    model = build_model()
    state = {name: tensor.float() for name, tensor in load_file(WEIGHTS).items()}
    model.load_state_dict(state, strict=True)
    return model.eval()
