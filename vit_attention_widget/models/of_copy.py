"""The description of a model's copy, with what is known of the original."""

from __future__ import annotations

from .said_classes import with_classes_of
from .text_prompts import ZeroShot
from .vision_transformer import VisionTransformer

__all__ = ["as_of_original"]


def as_of_original(copied: VisionTransformer, original: VisionTransformer) -> VisionTransformer:
    """The description of a copy, whose classes (or prompts) and outputs are the original's."""
    if isinstance(original, ZeroShot):
        copied = ZeroShot(
            copied, original.prompts, original._texts, original._scale, None, original._bias
        )
    return with_classes_of(copied, original)
