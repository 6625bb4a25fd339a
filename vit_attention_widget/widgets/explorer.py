"""All views of one model and one image, linked."""

from __future__ import annotations

from typing import ClassVar

from .base import SessionWidget

__all__ = ["Explorer"]


class Explorer(SessionWidget):
    """All views of one model and one image, linked.

    Parameters, traits and errors are those of :class:`~.base.SessionWidget`.
    """

    stem: ClassVar[str] = "explorer"
