"""Some of the images of a result whose tensors all begin with the images."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping, Sequence, Sized
from typing import Any, TypeVar

from torch import Tensor

__all__ = ["parts_of", "rows_of"]

_R = TypeVar("_R")
_Part = TypeVar("_Part", bound=Sized)


def rows_of(result: _R, first: int, last: int, but: Collection[str] = ()) -> _R:
    """A dataclass of the images from ``first`` to before ``last``.

    Tensors, lists, and those in mappings are cut; not the fields named in ``but``.
    """

    def cut(value: Any) -> Any:
        if isinstance(value, Tensor | list):
            return value[first:last]
        if isinstance(value, Mapping):
            return {name: cut(each) for name, each in value.items()}
        return value._images(first, last) if hasattr(value, "_images") else value

    fields = dataclasses.fields(result)  # type: ignore[arg-type]
    changed = {
        each.name: cut(getattr(result, each.name)) for each in fields if each.name not in but
    }
    some: _R = dataclasses.replace(result, **changed)  # type: ignore[type-var]
    return some


def parts_of(parts: Sequence[_Part], first: int, last: int) -> tuple[_Part, ...]:
    """Dataclasses of consecutive images: of those from ``first`` to before ``last``."""
    some, begin = list[_Part](), 0
    for part in parts:
        inside = max(0, first - begin), min(len(part), last - begin)
        if inside[0] < inside[1]:
            some.append(rows_of(part, *inside))
        begin += len(part)
    return tuple(some)
