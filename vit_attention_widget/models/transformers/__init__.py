"""Vision Transformers of Hugging Face's transformers, 4.x and 5.x."""

from __future__ import annotations

from .describe import describe

__all__ = ["describe"]
