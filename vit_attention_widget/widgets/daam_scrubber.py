"""Scrub through the layers and see how the decision forms, by DAAM or another explainer."""

from __future__ import annotations

from typing import ClassVar

from .base import SessionWidget

__all__ = ["DAAMScrubber"]


class DAAMScrubber(SessionWidget):
    """Scrub through the layers and see how the decision forms, by DAAM or another explainer.

    Parameters, traits and errors are those of :class:`~.base.SessionWidget`.
    """

    stem: ClassVar[str] = "daam_scrubber"
