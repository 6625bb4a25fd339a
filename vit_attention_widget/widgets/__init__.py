"""Jupyter widgets: thin mirrors of a :class:`~vit_attention_widget.session.Session`."""

from __future__ import annotations

from .attention_inspector import AttentionInspector
from .attention_pattern_map import AttentionPatternMap
from .base import SessionWidget
from .compare_view import CompareView
from .daam_scrubber import DAAMScrubber
from .explorer import Explorer
from .head_grid import HeadImportanceGrid
from .head_strength import HeadStrengthView
from .tour import Step

__all__ = [
    "AttentionInspector",
    "AttentionPatternMap",
    "CompareView",
    "DAAMScrubber",
    "Explorer",
    "HeadImportanceGrid",
    "HeadStrengthView",
    "SessionWidget",
    "Step",
]
