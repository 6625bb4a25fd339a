"""Attention distance and entropy of every head by layer, and the reach of one head."""

from __future__ import annotations

from typing import ClassVar

from .base import SessionWidget

__all__ = ["HeadStrengthView"]


class HeadStrengthView(SessionWidget):
    """Attention distance and entropy of every head by layer, and the reach of one head.

    With ``image_set=`` the entropy of a head is compared with that on the other images. Parameters,
    traits and errors are those of :class:`~.base.SessionWidget`.
    """

    stem: ClassVar[str] = "head_strength"
