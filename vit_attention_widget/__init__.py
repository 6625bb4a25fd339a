"""See what a Vision Transformer looks at, which heads matter, and how its decision forms.

By convention ``import vit_attention_widget as vaw``. Importing this needs torch, but neither
Jupyter nor timm: widgets, sessions and the bundled model are loaded when they are first named.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from . import errors, explainers, targets
from .comparing import compare
from .comparison import Comparison
from .heads.accuracy import accuracy
from .heads.curve import PruningCurve, pruning_curve, pruning_curve_steps
from .heads.importance import HeadImportance, head_importance, head_importance_steps
from .heads.masking import masked_heads
from .heads.overview import ImageOverview, image_overview, image_overview_steps
from .heads.partial_pruning import PartialPruning, partial_pruning
from .heads.patterns import AttentionPatterns
from .heads.strength import AttentionStrength, attention_strength
from .tokens import TokenLayout
from .trace import Trace
from .tracing import trace
from .vision_transformers import adapt, describe, zero_shot

if TYPE_CHECKING:
    from . import demo, evaluation
    from .evaluation import Evaluation, evaluate, evaluate_steps
    from .heads.pruning import load_pruned, prune_heads, pruning_of, save_pruned
    from .session import Session
    from .widgets import (
        AttentionInspector,
        CompareView,
        DAAMScrubber,
        Explorer,
        HeadImportanceGrid,
        HeadStrengthView,
    )
    from .windowing import window_attention
    from .windows import WindowAttention

__version__ = "0.1.0"

__all__ = [
    "AttentionInspector",
    "AttentionPatternMap",
    "AttentionPatterns",
    "AttentionStrength",
    "CompareView",
    "Comparison",
    "DAAMScrubber",
    "Evaluation",
    "Explorer",
    "HeadImportance",
    "HeadImportanceGrid",
    "HeadStrengthView",
    "ImageOverview",
    "PartialPruning",
    "PruningCurve",
    "Session",
    "TokenLayout",
    "Trace",
    "WindowAttention",
    "accuracy",
    "adapt",
    "attention_strength",
    "compare",
    "demo",
    "describe",
    "errors",
    "evaluate",
    "evaluate_steps",
    "evaluation",
    "explainers",
    "head_importance",
    "head_importance_steps",
    "image_overview",
    "image_overview_steps",
    "load_pruned",
    "masked_heads",
    "partial_pruning",
    "prune_heads",
    "pruning_curve",
    "pruning_curve_steps",
    "pruning_of",
    "save_pruned",
    "targets",
    "trace",
    "window_attention",
    "zero_shot",
]

_LAZY = {
    "AttentionInspector": ".widgets",
    "AttentionPatternMap": ".widgets",
    "CompareView": ".widgets",
    "DAAMScrubber": ".widgets",
    "Evaluation": ".evaluation",
    "Explorer": ".widgets",
    "HeadImportanceGrid": ".widgets",
    "HeadStrengthView": ".widgets",
    "Session": ".session",
    "WindowAttention": ".windows",
    "demo": ".demo",
    "evaluate": ".evaluation",
    "evaluate_steps": ".evaluation",
    "evaluation": ".evaluation",
    "load_pruned": ".heads.pruning",
    "prune_heads": ".heads.pruning",
    "pruning_of": ".heads.pruning",
    "save_pruned": ".heads.pruning",
    "window_attention": ".windowing",
}


_PACKAGES = ("demo", "evaluation")


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = importlib.import_module(_LAZY[name], __name__)
    return module if name in _PACKAGES else getattr(module, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
