"""Without a notebook: ``vaw cat.jpg`` opens the Explorer in the browser."""

from __future__ import annotations

from .loading import load_model

__all__ = ["load_model"]
