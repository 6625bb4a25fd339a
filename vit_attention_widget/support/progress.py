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

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeAlias

from ..errors import ParameterError

__all__ = ["Progress", "ProgressLike", "no_progress", "over_images", "part_of", "reporting"]

Progress: TypeAlias = Callable[[float, str], None]
"""Called with the fraction that is done, in [0, 1], and with what is being done.

It may raise :class:`~vit_attention_widget.errors.JobCancelled`, which ends the computation.
"""

ProgressLike: TypeAlias = Progress | bool | None
"""A callback, True for tqdm's bar, None or False for nothing."""


@contextmanager
def reporting(progress: ProgressLike) -> Iterator[Progress]:
    """Open what a user gave as ``progress`` and get a callback that can always be called.

    Parameters
    ----------
    progress : callable, bool or None
        A callback is passed through as it is. True opens a bar in the notebook or terminal, which
        is closed when the body ends, however it ends.

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
        yield progress
    else:
        raise ParameterError(
            f"progress is {progress!r}: give True for a progress bar, a function of (fraction, "
            "label), or None."
        )


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

    form = "{percentage:3.0f}%|{bar}| {desc} [{elapsed}<{remaining}]"
    with tqdm(total=100, bar_format=form, miniters=0) as bar:

        def report(fraction: float, label: str) -> None:
            bar.set_description_str(label, refresh=False)
            bar.update(round(100 * min(1.0, max(0.0, fraction))) - bar.n)

        yield report
        bar.update(100 - bar.n)
