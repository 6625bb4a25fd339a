"""Vision Transformers of timm."""

from __future__ import annotations

from .vision_transformer import describe

__all__ = ["describe"]
