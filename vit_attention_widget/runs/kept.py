"""The parts of a result that were computed, and the images that each is of."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from torch import Tensor

from ..data.reader import Batch
from ..errors import ImageError, ParameterError
from ..models import VisionTransformer
from ..support.progress import Progress
from .skipped import Skipped
from .told_images import digest_of_images

__all__ = ["Kept", "Measure", "Part", "measured", "unknown"]


class Part(Protocol):
    """A result of some images."""

    def __len__(self) -> int: ...

    @property
    def complete(self) -> bool:
        """Whether all is known of them."""


_FEW = 64
"""Up to so many parts are joined after each step; more of them each time that they have grown by a
share of one in so many, so that no part is joined more often than about so many times."""

_P = TypeVar("_P", bound=Part)
_R = TypeVar("_R")


class Measure(Protocol[_P]):
    """What measures images; a module's own function, with options by ``functools.partial``."""

    def __call__(
        self, vit: VisionTransformer, report: Progress, batch: Batch, before: _P | None, /
    ) -> Iterator[_P]:
        """Yield parts of a batch in order.

        An incomplete one any number of times, then the complete one. ``before`` is an incomplete
        part that is known of all its images, or None; ``report`` is over the batch. One that is
        not the same for every batch has a method ``alone(batch)``, which gives what is sent
        elsewhere.
        """


class Kept(Generic[_P, _R]):
    """Parts of a result, by the number of their first image.

    Parameters
    ----------
    join : callable
        Makes the result of consecutive parts, of which only the last may be incomplete.
    parts : sequence, optional
        Those of the first images, to go on from, with what stands for those that were skipped.
    total : int, optional
        Number of all images, where that is known.
    """

    folder: Path | None = None
    """Where parts are kept on the disk."""

    tries_again = False
    """Whether images that were skipped before are computed after all."""

    def __init__(
        self,
        join: Callable[[Sequence[_P]], _R],
        parts: Sequence[_P | Skipped] = (),
        total: int | None = None,
    ) -> None:
        self._total = total
        self._join, self._parts = join, dict[int, _P | Skipped]()
        first = 0
        for part in parts:
            self._parts[first] = part
            first += len(part)
        self._gained = self._is_said = False
        self._latest: _P | Skipped | None = None  # of those that were put

    def get(self, first: int, images: Sequence[object] | Tensor) -> _P | Skipped | None:
        """The part that begins with this image; ``images`` are those from there on."""
        return self._parts.get(first)

    def known_until(self, first: int, images: Sequence[object] | Tensor) -> int:
        """The image up to which all is known from ``first`` on, if it is ``first`` itself."""
        part = self.get(first, images)
        known = part is not None and part.complete and self._stays(part, images)
        return first + len(part) if part is not None and known else first

    def _stays(self, part: _P | Skipped, images: Sequence[object] | Tensor) -> bool:
        """Whether a part, the first of these images, is not to be computed again."""
        if not isinstance(part, Skipped):
            return True
        same = part.image in ("", digest_of_images(images[:1]))
        return same and not self.tries_again

    def holds(self, number: int) -> bool:
        """Whether something is known of an image, where all is of those before it."""
        return number in self._parts

    def room(self, first: int) -> int:
        """How many images from this one on may be of one part."""
        return sys.maxsize

    def put(self, first: int, part: _P | Skipped, images: Sequence[object] | Tensor) -> None:
        """Keep a part; one of the same images that was known before is replaced."""
        self._parts[first], self._latest = part, part
        self._gained, self._is_said = True, False

    def each(self, run: Iterator[None]) -> Iterator[_R]:
        """The result after each step; of many parts less often, and then of complete ones."""
        joined = 0
        for _ in run:
            count = len(self._parts)
            is_behind = count > _FEW and (
                (count - joined) * _FEW < count
                or (self._latest is not None and not self._latest.complete)
            )
            if not is_behind and (known := self._known()) is not None:
                joined, self._is_said = count, True
                yield known
        if not self._is_said and (known := self._known()) is not None:  # or the last are skipped
            yield known

    def after(self, run: Iterator[None]) -> _R:
        """The result after all steps."""
        for _ in run:
            pass
        return self.result()

    def result(self) -> _R:
        """What is known of the first images up to those of which nothing is; there must be one."""
        result = self._known()
        if result is None:
            first = next(self._first_parts(), None)
            why = first.reason if isinstance(first, Skipped) else "there are none"
            raise ImageError(f"No image could be computed: {why}")
        return result

    def gained(self) -> _R | None:
        """:meth:`result`; None where it is no more than what was there to go on from."""
        return self._known() if self._gained else None

    def _known(self) -> _R | None:
        """The parts joined, with the images that are in none of them; None of no part."""
        parts, skipped, first = list[_P](), dict[int, str](), 0
        for part in self._first_parts():
            if isinstance(part, Skipped):
                skipped[first] = part.reason
            else:
                parts.append(part)
            first += len(part)
        if not parts:
            return None
        result = self._join(parts)
        more = not parts[-1].complete or self._total is None or first < self._total
        extends = getattr(result, "_so_far", None)
        return result if extends is None else extends(self._total, more, skipped)

    def _first_parts(self) -> Iterator[_P | Skipped]:
        first = 0
        while (part := self._parts.get(first)) is not None:
            yield part
            if not part.complete:
                return
            first += len(part)


def unknown(read: Iterator[Batch], kept: Kept[_P, _R]) -> Iterator[Batch | None]:
    """Batches of which not all is kept yet; None for images of which it is.

    Raises
    ------
    ParameterError
        If what is kept is of more images than there are.
    """
    known = there = 0  # images of which all is known, and that there are
    for batch in read:
        there = batch.first + len(batch)
        batch = batch.part(min(len(batch), max(0, known - batch.first)), len(batch))
        while len(batch):
            known = max(known, kept.known_until(batch.first, batch.told))
            if known > batch.first:
                batch = batch.part(min(known - batch.first, len(batch)), len(batch))
                yield None
                continue
            before = kept.get(batch.first, batch.told)  # incomplete, if there is one
            count = len(batch) if before is None else min(len(before), len(batch))
            some = batch.part(0, min(count, kept.room(batch.first)))
            yield some
            batch = batch.part(len(some), len(batch))
    if known > there or kept.holds(there):
        raise ParameterError(
            f"What there is to go on from is of more than the {there} images that were given: give "
            "all of them, in the same order."
        )


def measured(
    measure: Callable[[_P | None], Iterator[_P]],
    first: int,
    images: Sequence[object] | Tensor,
    kept: Kept[_P, _R],
) -> Iterator[None]:
    """Measure some images, from number ``first`` on; yields after each step.

    ``measure`` is given the incomplete part that is known of all of them, or None, and yields parts
    of them in order: an incomplete one any number of times, then the complete one.
    """
    before = kept.get(first, images)
    if isinstance(before, Skipped) or (before is not None and len(before) != len(images)):
        before = None  # it is tried again, or of other batches than now
    if before is not None and before.complete:
        yield
        return
    for part in measure(before):
        kept.put(first, part, images)
        if part.complete:
            first, images = first + len(part), images[len(part) :]
        yield
