"""See what a Vision Transformer looks at, which heads matter, and how its decision forms.

By convention ``import vit_attention_widget as vaw``. Importing this needs torch, but neither
Jupyter nor timm: widgets, sessions and the bundled model are loaded when they are first named.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from . import errors, explainers
from .heads.importance import HeadImportance, head_importance
from .heads.masking import masked_heads
from .tokens import TokenLayout
from .trace import Trace, trace
from .vision_transformers import describe

if TYPE_CHECKING:
    from . import demo
    from .session import Session
    from .widgets import AttentionInspector, DAAMScrubber, Explorer, HeadImportanceGrid

__version__ = "0.1.0"

__all__ = [
    "AttentionInspector",
    "DAAMScrubber",
    "Explorer",
    "HeadImportance",
    "HeadImportanceGrid",
    "Session",
    "TokenLayout",
    "Trace",
    "demo",
    "describe",
    "errors",
    "explainers",
    "head_importance",
    "masked_heads",
    "trace",
]

_LAZY = {
    "AttentionInspector": ".widgets",
    "DAAMScrubber": ".widgets",
    "Explorer": ".widgets",
    "HeadImportanceGrid": ".widgets",
    "Session": ".session",
    "demo": ".demo",
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = importlib.import_module(_LAZY[name], __name__)
    return module if name == "demo" else getattr(module, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
