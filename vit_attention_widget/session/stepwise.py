"""Work in steps that a user may stop and let go on: what was computed is not computed again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from ..support.progress import Progress
from ..support.stopped import partial_of
from .lanes import JobPaused

__all__ = ["Stepwise"]

Step = TypeVar("Step")


class Stepwise(Generic[Step]):
    """Work for a lane that takes each value which steps yield; run again, it goes on.

    Parameters
    ----------
    steps : callable
        Given a progress callback and what to go on from, or None; yields ever more of the result.
    take : callable
        Given each value, in the lane's thread.

    Attributes
    ----------
    latest : Step or None
        What is known so far.
    """

    def __init__(
        self,
        steps: Callable[[Progress, Step | None], Iterator[Step]],
        take: Callable[[Step], None] = lambda _: None,
    ) -> None:
        self.latest: Step | None = None
        self._steps, self._take = steps, take

    def __call__(self, progress: Progress) -> None:
        """Go on until all is done, or until ``progress`` raises."""
        try:
            for value in self._steps(progress, self.latest):
                self.latest = value
                self._take(value)
        except JobPaused as pause:
            self.latest = partial_of(pause) or self.latest
            raise
