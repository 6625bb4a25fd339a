"""Observers of traits that cannot harm whoever sets them from another thread."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from typing import Any, TypeAlias

import traitlets
from traitlets import Bunch
from traitlets.utils.sentinel import Sentinel

from .lanes import in_lane

__all__ = ["LoggedObservers"]

log = logging.getLogger(__name__)

Observer: TypeAlias = Callable[[Bunch], object]


class LoggedObservers(traitlets.HasTraits):
    """Logs what an observer raises in a lane's thread, where nobody could catch it.

    The other observers are called, and the change is carried through. In the user's own thread an
    observer's error is raised, as traitlets does.
    """

    def observe(
        self,
        handler: Observer,
        names: Sentinel | str | Collection[Sentinel | str] = traitlets.All,
        type: Sentinel | str = "change",  # noqa: A002 - traitlets calls it so
    ) -> None:
        """Call ``handler(change)`` when a trait changes; arguments are those of traitlets."""
        super().observe(_logged(handler), names, type)

    def unobserve(
        self,
        handler: Observer | None = None,
        names: Sentinel | str | Collection[Sentinel | str] = traitlets.All,
        type: Sentinel | str = "change",  # noqa: A002
    ) -> None:
        """The opposite of :meth:`observe`; None takes away all observers."""
        super().unobserve(_logged(handler), names, type)


class _Logged:
    """An observer whose errors are logged in a lane; equal to another of the same function."""

    def __init__(self, observer: Observer) -> None:
        self._observer = observer

    def __call__(self, change: Bunch) -> None:
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
