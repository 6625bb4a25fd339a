"""What every study of a session is."""

from __future__ import annotations

from ..context import Context

__all__ = ["Study"]


class Study:
    """Something that a session finds out about what is looked at; its results are traits.

    Parameters
    ----------
    context : Context
        What is looked at, what is selected, and who computes.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self._traits = context.traits
        self.reset()

    def reset(self) -> None:
        """Another model or image is looked at: drop what was said of the former one."""

    def follow_trace(self) -> None:
        """A new trace is there; called with the lock held."""
