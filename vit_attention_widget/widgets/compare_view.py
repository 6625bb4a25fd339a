"""Maps beside each other: which methods agree, and how classes, layers and images differ."""

from __future__ import annotations

from typing import ClassVar

from .base import SessionWidget

__all__ = ["CompareView"]


class CompareView(SessionWidget):
    """Maps side by side: of all methods, of several classes, after each layer, or of a set.

    Their rank correlation says how far they agree on which patches matter. With ``image_set=`` the
    images of the set can be compared. Parameters, traits and errors are those of
    :class:`~.base.SessionWidget`.
    """

    stem: ClassVar[str] = "compare_view"
