"""Warnings about the user's own line, however many of our functions stand between."""

from __future__ import annotations

import sys
import warnings
from types import FrameType

__all__ = ["warn_caller"]

# Code through which a call comes here: the warning is about the line that began it.
_PASSED_THROUGH = {
    "_frozen_importlib",
    "anywidget",
    "contextlib",
    "functools",
    "importlib",
    "ipywidgets",
    "torch",
    "traitlets",
    __name__.partition(".")[0],
}


def warn_caller(message: str, category: type[Warning] = UserWarning) -> None:
    """Warn at the line outside this package that led here.

    Unlike ``warnings.warn(stacklevel=...)`` this does not depend on how many decorators and
    helpers the call went through.
    """
    caller = _caller()
    warnings.warn_explicit(
        message,
        category,
        filename=caller.f_code.co_filename,
        lineno=caller.f_lineno,
        module=caller.f_globals.get("__name__", "<unknown>"),
        registry=caller.f_globals.setdefault("__warningregistry__", {}),
    )


def _caller() -> FrameType:
    """The innermost frame of code that is not only passed through, or else the outermost."""
    frame = sys._getframe(1)
    while frame.f_back is not None and _package(frame) in _PASSED_THROUGH:
        frame = frame.f_back
    return frame


def _package(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", "")).partition(".")[0]
