"""Which tokens feed the logits."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["ReadTokens"]


@dataclass(frozen=True)
class ReadTokens:
    """The tokens of the last block that are read out, as measured in a pass.

    Attributes
    ----------
    queries : tuple of int
        Those whose attention a map is about: the class token if it is read and no patch is, else
        all that are read.
    unknown : str or None
        Why they could not be established.
    """

    queries: tuple[int, ...]
    unknown: str | None = None
