"""Images that cannot be computed: they are left out and named, and the run goes on."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import BrokenExecutor, CancelledError, Executor
from dataclasses import dataclass
from typing import ClassVar, Literal, TypeAlias

from ..data.reader import Batch
from ..errors import (
    ImageError,
    JobCancelled,
    ParameterError,
    TargetError,
    UnsupportedModelError,
    VitAttentionError,
)
from ..support.words import said
from .told_images import digest_of_images

__all__ = ["Failures", "OnError", "Skipped", "checked_on_error", "is_of_an_image"]

OnError: TypeAlias = Literal["raise", "skip", "retry"]
"""What becomes of images that cannot be computed.

``"raise"`` ends the run there; ``"skip"`` leaves them out, and never tries them again; ``"retry"``
leaves them out too, but first tries those again that were left out before.
"""

_IN_A_ROW = 32
"""So many images that fail one after another are no fault of the images: the run ends."""

_OF_THE_CALL = (
    ParameterError,
    TargetError,
    UnsupportedModelError,
    JobCancelled,
    BrokenExecutor,
    CancelledError,
)


@dataclass(frozen=True)
class Skipped:
    """Stands where the part of an image would: it could not be computed."""

    reason: str
    image: str = ""
    """Digest of the image: another one in its place is computed."""
    complete: ClassVar[bool] = True

    def __len__(self) -> int:
        return 1


def checked_on_error(on_error: OnError | None, executor: Executor | None) -> OnError:
    """What was asked for; without it an executor skips, because nobody sits beside it.

    Raises
    ------
    ParameterError
        If there is no such choice.
    """
    if on_error is None:
        return "raise" if executor is None else "skip"
    if on_error not in ("raise", "skip", "retry"):
        raise ParameterError(f"on_error is {on_error!r}: choose from raise, skip, retry.")
    return on_error


def is_of_an_image(error: Exception, *, elsewhere: bool) -> bool:
    """Whether an image may be why this was raised, rather than the call.

    Here it is where an image cannot be read, since a callback may raise anything; elsewhere nothing
    but the model and the image could.
    """
    if not elsewhere:
        return isinstance(error, ImageError)
    return not isinstance(error, _OF_THE_CALL) and not isinstance(error.__cause__, _OF_THE_CALL)


class Failures:
    """Images that failed, until one after them is computed: only then was it their fault.

    Parameters
    ----------
    put : callable
        Keeps what stands for the one image of a batch.
    """

    def __init__(self, put: Callable[[Batch, Skipped], None]) -> None:
        self._put, self._waiting = put, list[tuple[Batch, Exception]]()
        self._computed = False

    def add(self, image: Batch, error: Exception) -> None:
        """Take down one more; raises its error where too many failed in a row."""
        self._waiting.append((image, error))
        if len(self._waiting) >= _IN_A_ROW:
            raise error

    def computed(self) -> None:
        """Something was computed: those before it are left out."""
        self._computed = True
        for image, error in self._waiting:
            reason = str(error) if isinstance(error, VitAttentionError) else said(error)
            self._put(image, Skipped(reason, digest_of_images(image.told)))
        self._waiting.clear()

    def ended(self, begun: bool) -> None:
        """There are no more images; raises where not even the first is there."""
        if self._waiting and not (self._computed or begun):
            raise self._waiting[0][1]
        self.computed()
