"""Errors as files keep them: their text."""

from __future__ import annotations

from ..errors import VitAttentionError

__all__ = ["error_from", "error_text"]


def error_text(error: Exception | None) -> str | None:
    """An error as a file keeps it; None for none."""
    if error is None or isinstance(error, VitAttentionError):
        return None if error is None else str(error)
    return f"{type(error).__name__}: {error}"


def error_from(text: str | None) -> VitAttentionError | None:
    """The opposite of :func:`error_text`; of which type it was is in its words alone."""
    return None if text is None else VitAttentionError(text)
