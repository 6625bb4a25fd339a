"""Observers of traits that cannot harm whoever sets them from another thread."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, TypeAlias

import traitlets

from .lanes import in_lane

__all__ = ["LoggedObservers"]

log = logging.getLogger(__name__)

Observer: TypeAlias = Callable[[Any], object]


class LoggedObservers(traitlets.HasTraits):
    """Logs what an observer raises in a lane's thread, where nobody could catch it.

    The other observers are called, and the change is carried through. In the user's own thread an
    observer's error is raised, as traitlets does.
    """

    def observe(self, handler: Observer, *args: Any, **kwargs: Any) -> None:
        """Call ``handler(change)`` when a trait changes; arguments are those of traitlets."""
        super().observe(_logged(handler), *args, **kwargs)

    def unobserve(self, handler: Observer | None = None, *args: Any, **kwargs: Any) -> None:
        """The opposite of :meth:`observe`; None takes away all observers."""
        super().unobserve(_logged(handler), *args, **kwargs)


class _Logged:
    """An observer whose errors are logged in a lane; equal to another of the same function."""

    def __init__(self, observer: Observer) -> None:
        self._observer = observer

    def __call__(self, change: Any) -> None:
        if not in_lane():
            self._observer(change)
            return
        try:
            self._observer(change)
        except Exception:
            log.exception("An observer of %r raised", getattr(change, "name", change))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Logged) and self._observer == other._observer

    def __hash__(self) -> int:
        return hash(self._observer)


def _logged(observer: Observer | None) -> Any:
    """The observer to register; those that a class declares are found by traitlets by name."""
    if observer is None or isinstance(observer, traitlets.EventHandler):
        return observer
    return _Logged(observer)
