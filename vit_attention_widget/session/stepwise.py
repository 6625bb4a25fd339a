"""Work in steps that a user may stop and let go on: what was computed is not computed again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from ..support.progress import Progress, no_progress
from .lanes import JobPaused

__all__ = ["Stepwise"]

Step = TypeVar("Step")


class Stepwise(Generic[Step]):
    """Work for a lane that takes each value which an iteration yields.

    A user who stops it stops it between two steps, and the iteration waits there; run again, it
    goes on. Whatever else ends it (an error, something newer) ends the iteration.

    Parameters
    ----------
    steps : callable
        Given a progress callback; yields ever more of the result.
    take : callable
        Given each value, in the lane's thread.

    Attributes
    ----------
    latest : Step or None
        The value that was taken last.
    """

    def __init__(
        self, steps: Callable[[Progress], Iterator[Step]], take: Callable[[Step], None]
    ) -> None:
        self.latest: Step | None = None
        self._steps = steps
        self._take = take
        self._progress: Progress = no_progress
        self._pause: JobPaused | None = None
        self._iteration: Iterator[Step] | None = None

    def __call__(self, progress: Progress) -> None:
        """Go on until all is done, or until ``progress`` raises."""
        self._progress, self._pause = progress, None
        if self._iteration is None:
            self._iteration = self._steps(self._report)
        iteration, self._iteration = self._iteration, None
        for value in iteration:
            self.latest = value
            self._take(value)
            if self._pause is not None:
                self._iteration = iteration
                raise self._pause

    def _report(self, fraction: float, label: str) -> None:
        """Progress of the iteration, which a pause must not end."""
        try:
            self._progress(fraction, label)
        except JobPaused as pause:
            self._pause = pause
