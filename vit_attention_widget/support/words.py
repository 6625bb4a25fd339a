"""Values and errors in a few words, for messages: of any size and any making."""

from __future__ import annotations

import reprlib

__all__ = ["said", "sendable", "shorten", "shown"]

_brief = reprlib.Repr()
_brief.maxstring = _brief.maxother = 80
_brief.maxlong = 30


def shorten(text: str, limit: int = 120) -> str:
    """The beginning and the end of a text that is too long for a message."""
    return text if len(text) <= limit else f"{text[: limit - 20]}...{text[-12:]}"


def sendable(text: str) -> str:
    """A text in letters that UTF-8 has: ``?`` for half of a surrogate pair, as bad files have."""
    return text.encode("utf-8", "replace").decode()


def said(error: BaseException) -> str:
    """Type and message of an error that anyone may have raised, even one without a message."""
    try:
        return f"{type(error).__name__}: {shorten(str(error))}"
    except Exception:
        return type(error).__name__


def shown(value: object) -> str:
    """A value as ``repr`` shows it, cut short; its type where it cannot be shown."""
    try:
        return shorten(_brief.repr(value))
    except Exception:  # nested too deep, a number of too many digits, a repr that raises
        return f"<{type(value).__name__}>"
