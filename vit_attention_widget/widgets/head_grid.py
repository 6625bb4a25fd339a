"""Layers x heads: what each head sees, how much it matters, and the decision without it."""

from __future__ import annotations

from typing import ClassVar

from .base import SessionWidget

__all__ = ["HeadImportanceGrid"]


class HeadImportanceGrid(SessionWidget):
    """Layers x heads: what each head sees, how much it matters, and the decision without it.

    Parameters, traits and errors are those of :class:`~.base.SessionWidget`.
    """

    stem: ClassVar[str] = "head_grid"
