"""How far a result is, when what computes it was stopped or is still going on."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, TypeAlias, TypeVar

from ..support.warn import warn_caller
from .error_text import error_from, error_text
from .storage import JsonObject

__all__ = [
    "Extent",
    "Unfinished",
    "counted",
    "extent_from",
    "skipped_from",
    "warn_if_skipped",
    "warn_if_stopped",
]

_Result = TypeVar("_Result", bound="Unfinished")


class Unfinished:
    """Mixin for results of long computations; dataclasses with the three fields below.

    Attributes
    ----------
    error : Exception or None
        What ended the computation early; all that was computed before is here.
    total : int or None
        How many there were to be (images; heads of a curve), where that is known.
    ongoing : bool
        Whether more may come: the result is one of those that steps yield.
    skipped : mapping of int to str
        Why an image is not among these, by its number in the set; of functions with ``on_error``.
    """

    unit = "image"

    error: Exception | None
    total: int | None
    ongoing: bool
    skipped: Mapping[int, str] = MappingProxyType({})

    @property
    def done(self) -> int:
        """How many are complete, of :attr:`total`."""
        raise NotImplementedError

    @property
    def n_images(self) -> int:
        """Number of images whose values are all there."""
        return self.done

    @property
    def complete(self) -> bool:
        """Whether all that was asked for is here."""
        return self.error is None and not self.ongoing

    @property
    def how_far(self) -> str:
        """What is here, in words: ``"8 of 50 images"``."""
        return counted(self.done, self.total, self.unit) + self._and_skipped(", ")

    def _images_skipped(self) -> Mapping[int, str]:
        return self.skipped if self.unit == "image" else {}  # else they are methods, say

    def _and_skipped(self, before: str) -> str:
        skipped = self._images_skipped()
        return f"{before}{len(skipped)} skipped" if skipped else ""

    def _shortfall(self) -> str:
        """What a title says of a result that is not complete, after its size."""
        if self.complete:
            return self._and_skipped("; ")
        why = "" if self.error is None else f", then {error_text(self.error)}"
        return f" (unfinished: {self.how_far}{why})"

    def _stopped(self: _Result, error: Exception) -> _Result:
        """The same, ended by an error."""
        stopped: _Result = _changed(self, error=error, ongoing=False)
        return stopped

    def _ended(self: _Result) -> _Result:
        """The same, to which nothing will come: all there is."""
        if not self.ongoing:
            return self
        ended: _Result = _changed(
            self, total=self.done + len(self._images_skipped()), ongoing=False
        )
        return ended

    def _so_far(
        self: _Result, total: int | None, ongoing: bool, skipped: Mapping[int, str]
    ) -> _Result:
        """The same, as what there is of so many images, of which some are skipped."""
        more: dict[str, object] = {"skipped": skipped} if skipped else {}
        so_far: _Result = _changed(self, total=total, ongoing=ongoing, **more)
        return so_far

    def _about_extent(self) -> JsonObject:
        """What a file says of it."""
        skipped = self._images_skipped()
        return {
            "error": error_text(self.error),
            "total": self.total,
            "ongoing": self.ongoing,
            **({"skipped": {str(n): why for n, why in skipped.items()}} if skipped else {}),
        }


Extent: TypeAlias = tuple[Exception | None, int | None, bool]
"""``error``, ``total`` and ``ongoing``."""


def extent_from(about: JsonObject) -> Extent:
    """``error``, ``total`` and ``ongoing`` out of a file; files of earlier releases lack some."""
    total, ongoing = about.get("total"), about.get("ongoing", False)
    if not (total is None or type(total) is int) or not isinstance(ongoing, bool):
        raise ValueError("it does not say how far it is")
    return error_from(about.get("error")), total, ongoing


def skipped_from(about: JsonObject) -> dict[int, str]:
    """``skipped`` out of a file."""
    return {int(number): str(why) for number, why in about.get("skipped", {}).items()}


def warn_if_skipped(result: Unfinished) -> None:
    """Warn if images are missing: how many, and the first with why."""
    skipped = result._images_skipped()
    if skipped:
        first, why = next(iter(skipped.items()))
        warn_caller(
            f"{counted(len(skipped), None, 'image')} could not be computed and "
            f"{'is' if len(skipped) == 1 else 'are'} skipped, such as image {first}: {why} "
            "All are in `.skipped`."
        )


def warn_if_stopped(result: Unfinished, what: str) -> None:
    """Warn if an error ended what was computed: what of, how far it is, and which error."""
    if result.error is not None:
        warn_caller(
            f"{what} was computed for {result.how_far} only, then {type(result.error).__name__} "
            f"stopped it: {result.error}"
        )
    warn_if_skipped(result)


def counted(done: int, total: int | None, unit: str) -> str:
    """``"8 of 50 images"``, ``"1 image"``."""
    several = done if total is None else total
    of = "" if total is None or total == done else f" of {total}"
    return f"{done}{of} {unit}{'' if several == 1 else 's'}"


def _changed(result: Any, **fields: object) -> Any:  # a dataclass, which no bound can say
    return dataclasses.replace(result, **fields)
