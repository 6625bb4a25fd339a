"""What the package must know of a model: its blocks, tokens, readout and input, by library."""

from __future__ import annotations

from .adapting import adapt
from .factory import made_by
from .libraries import describe
from .text_prompts import takes_prompts, with_prompts, zero_shot
from .vision_transformer import VisionTransformer

__all__ = [
    "VisionTransformer",
    "adapt",
    "describe",
    "made_by",
    "takes_prompts",
    "with_prompts",
    "zero_shot",
]
