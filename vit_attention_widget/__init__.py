"""See what a Vision Transformer looks at, which heads matter, and how its decision forms.

By convention ``import vit_attention_widget as vaw``. Importing this needs torch, but neither
Jupyter nor timm: widgets, sessions and the bundled model are loaded when they are first named.

Nothing is printed. What is worth a note goes to the logger ``vit_attention_widget``, errors that
nobody could be told of (an observer that raised on another thread, say) among it.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from . import errors, explainers, targets
from .comparison.result import Comparison
from .comparison.run import compare
from .data.items import ImagesLike
from .data.readable import ReadableImages, readable_images
from .data.tar_shards import TarShards
from .importance.interactions import (
    HeadInteractions,
    head_interactions,
    head_interactions_steps,
)
from .importance.run import HeadImportance, head_importance, head_importance_steps
from .lens.result import LogitLens
from .lens.run import logit_lens
from .models import adapt, describe, made_by, zero_shot
from .models.images import ImageLike
from .models.token_layout import TokenLayout
from .overview.result import ImageOverview
from .overview.run import image_overview, image_overview_steps
from .overview.stored.places import images_moved
from .patterns import AttentionPatterns
from .pruning.curve import PruningCurve, pruning_curve, pruning_curve_steps
from .pruning.partial import PartialPruning, partial_pruning
from .pruning.top1 import accuracy
from .strength import AttentionStrength, attention_strength
from .support.stopped import kept_result
from .tracing.masking import masked_heads
from .tracing.run import trace
from .tracing.trace import Trace

if TYPE_CHECKING:
    from . import demo, evaluation
    from .evaluation import Evaluation, evaluate, evaluate_steps
    from .export import ExportedPage, to_html
    from .pruning.budget import BudgetPruning, FineTuning, prune_to, prune_to_steps
    from .pruning.cut import load_pruned, prune_heads, pruning_of, save_pruned
    from .session import Session
    from .widgets import (
        AttentionInspector,
        AttentionPatternMap,
        CompareView,
        DAAMScrubber,
        Explorer,
        HeadImportanceGrid,
        HeadStrengthView,
        Step,
    )
    from .windows.result import WindowAttention
    from .windows.run import window_attention

__version__ = "0.1.0"

__all__ = [
    "AttentionInspector",
    "AttentionPatternMap",
    "AttentionPatterns",
    "AttentionStrength",
    "BudgetPruning",
    "CompareView",
    "Comparison",
    "DAAMScrubber",
    "Evaluation",
    "Explorer",
    "ExportedPage",
    "FineTuning",
    "HeadImportance",
    "HeadImportanceGrid",
    "HeadInteractions",
    "HeadStrengthView",
    "ImageLike",
    "ImageOverview",
    "ImagesLike",
    "LogitLens",
    "PartialPruning",
    "PruningCurve",
    "ReadableImages",
    "Session",
    "Step",
    "TarShards",
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
    "head_interactions",
    "head_interactions_steps",
    "image_overview",
    "image_overview_steps",
    "images_moved",
    "kept_result",
    "load_pruned",
    "logit_lens",
    "made_by",
    "masked_heads",
    "partial_pruning",
    "prune_heads",
    "prune_to",
    "prune_to_steps",
    "pruning_curve",
    "pruning_curve_steps",
    "pruning_of",
    "readable_images",
    "save_pruned",
    "targets",
    "to_html",
    "trace",
    "window_attention",
    "zero_shot",
]

_LAZY = {
    "AttentionInspector": ".widgets",
    "AttentionPatternMap": ".widgets",
    "BudgetPruning": ".pruning.budget",
    "CompareView": ".widgets",
    "DAAMScrubber": ".widgets",
    "Evaluation": ".evaluation",
    "Explorer": ".widgets",
    "ExportedPage": ".export",
    "FineTuning": ".pruning.budget",
    "HeadImportanceGrid": ".widgets",
    "HeadStrengthView": ".widgets",
    "Session": ".session",
    "Step": ".widgets",
    "WindowAttention": ".windows.result",
    "demo": ".demo",
    "evaluate": ".evaluation",
    "evaluate_steps": ".evaluation",
    "evaluation": ".evaluation",
    "load_pruned": ".pruning.cut",
    "prune_heads": ".pruning.cut",
    "prune_to": ".pruning.budget",
    "prune_to_steps": ".pruning.budget",
    "pruning_of": ".pruning.cut",
    "save_pruned": ".pruning.cut",
    "to_html": ".export",
    "window_attention": ".windows.run",
}


_PACKAGES = ("demo", "evaluation")


if not TYPE_CHECKING:  # who checks types sees the imports above, and that other names do not exist

    def __getattr__(name: str) -> object:
        if name not in _LAZY:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        module = importlib.import_module(_LAZY[name], __name__)
        return module if name in _PACKAGES else getattr(module, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
