"""Progress of long computations, said in one way: a callback, tqdm's bar, or nothing.

A public function takes ``progress: ProgressLike = None`` and opens it once; what it calls takes the
plain callback:

>>> def count(n: int, *, progress: ProgressLike = None) -> None:
...     with reporting(progress) as report:
...         for i in range(n):
...             report((i + 1) / n, "counting")
>>> count(2, progress=lambda fraction, label: print(f"{label}: {fraction:.0%}"))
counting: 50%
counting: 100%

In a generator the bar stays open until the generator ends, fails or is closed.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeAlias

from ..errors import ParameterError
from .pace import Pace, in_time

__all__ = [
    "Counted",
    "Progress",
    "ProgressLike",
    "no_progress",
    "over_images",
    "part_of",
    "reporting",
]

Progress: TypeAlias = Callable[[float, str], None]
"""Called with the fraction that is done, in [0, 1], and with what is being done.

It may raise :class:`~vit_attention_widget.errors.JobCancelled`, which ends the computation.
"""

ProgressLike: TypeAlias = Progress | Callable[[float, str, float | None], None] | bool | None
"""A callback, True for tqdm's bar, None or False for nothing.

A callback of three arguments is also given the seconds that are left, None while they cannot be
told: in the first two seconds, or before there were five signs of progress.
"""


@contextmanager
def reporting(progress: ProgressLike) -> Iterator[Progress]:
    """Open what a user gave as ``progress`` and get a callback that can always be called.

    Parameters
    ----------
    progress : callable, bool or None
        A callback of two arguments is passed through as it is. True opens a bar in the notebook or
        terminal, which is closed when the body ends, however it ends.

    Raises
    ------
    ParameterError
        If it is none of these.
    """
    if progress is True:
        with _bar() as report:
            yield report
    elif progress is None or progress is False:
        yield no_progress
    elif callable(progress):
        yield _with_time_left(progress)
    else:
        raise ParameterError(
            f"progress is {progress!r}: give True for a progress bar, a function of (fraction, "
            "label) or (fraction, label, seconds left), or None."
        )


def _with_time_left(callback: Callable[..., None]) -> Progress:
    """The callback itself, unless it has to be given three arguments."""
    try:
        parameters = inspect.signature(callback).parameters.values()
    except (TypeError, ValueError):  # of C
        return callback
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    needed = [each for each in parameters if each.default is inspect.Parameter.empty]
    if sum(each.kind in positional for each in needed) != 3:
        return callback
    pace = Pace()

    def report(fraction: float, label: str) -> None:
        callback(fraction, label, pace.at(fraction))

    return report


class Counted:
    """Progress whose labels say how many images a second are computed, of those that are.

    Parameters
    ----------
    progress : callable
    pace : Pace, optional
    """

    def __init__(self, progress: Progress, pace: Pace | None = None) -> None:
        self._progress, self._pace = progress, pace or Pace()
        self._images, self._rate = 0, ""

    def computed(self, images: int) -> None:
        """So many more were computed."""
        self._images += images
        self._pace.at(self._images)
        rate = self._pace.per_second()
        self._rate = "" if rate is None else f", {rate:.{1 if rate >= 1 else 2}f} images/s"

    def __call__(self, fraction: float, label: str) -> None:
        """Say it, with the rate once that is known."""
        self._progress(fraction, label + self._rate)


def no_progress(fraction: float, label: str) -> None:
    """Say nothing."""


def part_of(progress: Progress, start: float, end: float) -> Progress:
    """Progress of a part of the work, from ``start`` to ``end`` of the whole."""

    def report(fraction: float, label: str) -> None:
        progress(start + fraction * (end - start), label)

    return report


def over_images(progress: Progress, done: int, size: int, total: int | None) -> Progress:
    """Progress over all images from that over a batch of them.

    Parameters
    ----------
    progress : callable
        Over all images.
    done : int
        Number of images before the batch.
    size : int
        Number of images in the batch.
    total : int, optional
        Number of all images. Where it is not known the fraction stays 0, and the label says how
        many were done.
    """
    if total == 1:
        return progress

    def report(fraction: float, label: str) -> None:
        share = min(1.0, (done + fraction * size) / total) if total else 0.0
        progress(share, f"{label}, image {done}" + (f" of {total}" if total else ""))

    return report


@contextmanager
def _bar() -> Iterator[Progress]:
    from tqdm.auto import tqdm  # slow to import, and seldom needed

    form, pace = "{percentage:3.0f}%|{bar}| {desc} [{elapsed}]", Pace()
    with tqdm(total=100, bar_format=form, miniters=0) as bar:

        def report(fraction: float, label: str) -> None:
            bar.set_description_str(label + in_time(pace.at(fraction)), refresh=False)
            bar.update(round(100 * min(1.0, max(0.0, fraction))) - bar.n)

        yield report
        bar.update(100 - bar.n)
