"""Mean and standard deviation of the pixels that common weights were trained with."""

from __future__ import annotations

__all__ = ["CLIP", "HALVES", "IMAGENET"]

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
HALVES = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
CLIP = ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))
