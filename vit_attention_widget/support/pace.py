"""How long the rest of some work will take, from how fast it went lately."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

__all__ = ["Pace", "in_time"]

_FEWEST = 5
"""Nothing is estimated from fewer signs of progress."""

_SHORTEST = 2.0
"""Nor in the first so many seconds: what is loaded and warmed up then comes once."""

_LATELY = 20.0
"""The last so many seconds count, and always the second half of the time."""


class Pace:
    """Watches a share grow from where it first stood: what was done before then costs no time.

    Parameters
    ----------
    clock : callable, optional
        Seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._marks: deque[tuple[float, float]] = deque()
        self._now = self._began = 0.0
        self._grown = 0

    def at(self, share: float) -> float | None:
        """Take down the share that is done by now, and tell :meth:`left`."""
        self._now = now = self._clock()
        if not self._marks or share < self._marks[-1][1]:  # of other work
            self._marks.clear()
            self._began, self._grown = now, 0
            self._marks.append((now, share))
        elif share > self._marks[-1][1]:
            self._grown += 1
            self._marks.append((now, share))
        lately = now - max(_LATELY, (now - self._began) / 2)
        while len(self._marks) > _FEWEST and self._marks[1][0] <= lately:
            self._marks.popleft()
        return self.left()

    def per_second(self) -> float | None:
        """By how much the share grows; None where that cannot be told yet."""
        if self._grown < _FEWEST or self._now - self._began < _SHORTEST:
            return None
        since, before = self._marks[0]
        return (self._marks[-1][1] - before) / (self._now - since)

    def left(self) -> float | None:
        """Seconds until the share is 1; None where that cannot be told yet."""
        speed = self.per_second()
        return None if speed is None else max(0.0, 1 - self._marks[-1][1]) / speed


def in_time(seconds: float | None, before: str = ", ") -> str:
    """``", 12 s left"``; nothing where it is not known."""
    if seconds is None:
        return ""
    if seconds < 90:
        return f"{before}{max(1, round(seconds))} s left"
    return before + (
        f"{round(seconds / 60)} min left" if seconds < 5400 else f"{round(seconds / 3600)} h left"
    )
