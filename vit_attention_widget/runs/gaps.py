"""What a result that lacks some images is made of: parts, and what stands for those it lacks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, TypeVar

from .skipped import Skipped

__all__ = ["PartOfImages", "with_gaps"]


class PartOfImages(Protocol):
    """A result that can be given of some of its images alone."""

    def __len__(self) -> int: ...

    def _images(self, first: int, last: int) -> Any: ...


_P = TypeVar("_P")


def with_gaps(parts: Sequence[_P], skipped: Mapping[int, str]) -> list[_P | Skipped]:
    """Parts in order, cut where an image is missing, with why it is in its place."""
    pieces, number = list[_P | Skipped](), 0
    missing = sorted(skipped)
    for part in parts:
        cut: Any = part
        taken, count = 0, len(cut)
        while taken < count:
            while missing and missing[0] == number:
                pieces.append(Skipped(skipped[missing.pop(0)]))
                number += 1
            until = count if not missing else min(count, taken + missing[0] - number)
            pieces.append(part if until - taken == count else cut._images(taken, until))
            number, taken = number + until - taken, until
    pieces += [Skipped(skipped[each]) for each in missing]
    return pieces
