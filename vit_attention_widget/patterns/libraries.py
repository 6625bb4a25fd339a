"""The optional libraries that arrange and cluster heads."""

from __future__ import annotations

from types import ModuleType

from ..results.optional import optional

__all__ = ["check_pattern_libraries", "pattern_library"]


def pattern_library(module: str) -> ModuleType:
    """Import a module of scikit-learn or openTSNE.

    Raises
    ------
    ParameterError
        If it is not installed.
    """
    return optional(module, "AttentionPatterns", extra="patterns")


def check_pattern_libraries() -> None:
    """Raise :class:`ParameterError` unless all of them are installed."""
    for module in ("openTSNE", "sklearn"):
        pattern_library(module)
