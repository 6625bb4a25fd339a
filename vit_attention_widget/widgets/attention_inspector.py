"""Click a patch and see what it attends to, and what attends to it, in every head."""

from __future__ import annotations

from typing import ClassVar

from .base import SessionWidget

__all__ = ["AttentionInspector"]


class AttentionInspector(SessionWidget):
    """Click a patch and see what it attends to, and what attends to it, in every head.

    Parameters, traits and errors are those of :class:`~.base.SessionWidget`.
    """

    stem: ClassVar[str] = "attention_inspector"
