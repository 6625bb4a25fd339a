"""Which object it was, without keeping it alive."""

from __future__ import annotations

from weakref import ref

__all__ = ["Identity", "identity_of"]


class Identity:
    """Equal to that of the same object only, and to no other once that is gone.

    An ``id`` is given again to another object after the first is collected.
    """

    def __init__(self, value: object) -> None:
        self._of, self._number = ref(value), id(value)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Identity):
            return NotImplemented
        value = self._of()
        return self is other or (value is not None and value is other._of())

    def __hash__(self) -> int:
        return self._number


def identity_of(value: object) -> object:
    """What tells an object from all others; of kinds that cannot be watched its ``id``."""
    try:
        return Identity(value)
    except TypeError:
        return id(value)
