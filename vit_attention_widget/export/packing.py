"""Answers in parts of a page, as many as there is room for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import count

from ..support.progress import Progress, no_progress
from .answers import Recorded
from .complete import SAYS
from .parts import part
from .session_values import SessionValues

__all__ = ["SessionPart", "packed_within"]

_AROUND = 70
_A_KEY = 40
"""Characters around a part, and at the most those that a key takes."""

_AT_ONCE = 64
"""So many small answers share a part."""


class SessionPart:
    """What the first part says of a session."""

    def __init__(self, held: SessionValues) -> None:
        self.held = held
        self.where: dict[str, tuple[int, int]] = {}

    def known(self) -> dict[str, object]:
        """As the browser reads it, with what was packed by now."""
        return {
            "values": self.held.values,
            "explained": self.held.explained,
            "answers": self.where,
        }


def packed_within(
    sessions: Sequence[SessionPart], room: int, progress: Progress = no_progress
) -> tuple[dict[int, str], tuple[str, ...]]:
    """Parts that take at most so many characters, and what is not in them, in words.

    The sessions are told where their answers are.
    """
    number = count(1)
    parts: dict[int, str] = {}
    dropped: dict[str, None] = {}
    wanted = list(_by_want(sessions))
    for i, (session, what, answers) in enumerate(wanted):
        progress(0.5 + 0.5 * i / len(wanted), SAYS)
        new, where = _packed(answers, number)
        size = sum(len(text) + _AROUND for text in new.values()) + _A_KEY * len(where)
        if size > room:
            dropped[what] = None
            continue
        room -= size
        parts |= new
        session.where |= where
    return parts, tuple(dropped)


def _by_want(
    sessions: Sequence[SessionPart],
) -> Iterator[tuple[SessionPart, str, Mapping[str, Recorded]]]:
    """What could be left out, the most wanted of all sessions first."""
    most = max(len(session.held.answers) for session in sessions)
    for i in range(most):
        for session in sessions:
            for what, answers in list(session.held.answers.items())[i : i + 1]:
                yield session, what, answers


def _packed(
    answers: Mapping[str, Recorded], number: Iterator[int]
) -> tuple[dict[int, str], dict[str, tuple[int, int]]]:
    """Answers in parts, and in which part and place each is."""
    parts: dict[int, str] = {}
    where: dict[str, tuple[int, int]] = {}
    together: dict[str, Recorded] = {}

    def close() -> None:
        if together:
            this = next(number)
            parts[this] = part(list(together.values()))
            where.update({key: (this, i) for i, key in enumerate(together)})
            together.clear()

    for key, answer in answers.items():
        together[key] = answer
        if len(answer.get("buffer", b"")) > 50_000 or len(together) >= _AT_ONCE:
            close()
    close()
    return parts, where
