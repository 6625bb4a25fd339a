"""Parts of a result in a folder, so that a run goes on after its process was killed."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

from torch import Tensor

from ..errors import ParameterError
from ..results.files import reading
from ..results.storage import JsonObject, read_tensors, write_tensors
from .kept import Kept
from .manifest import check_manifest, digest_of_images

__all__ = ["StoredResult", "kept_in"]

_EVERY = 1.0
"""Parts that are not complete are written at most so often, in seconds."""

_IMAGES = "images of the run"


class StoredPart(Protocol):
    """A result of some images that a file can hold."""

    def __len__(self) -> int: ...

    @property
    def complete(self) -> bool: ...

    def _to_parts(self) -> tuple[dict[str, Tensor], JsonObject]: ...

    @classmethod
    def _from_parts(cls, tensors: dict[str, Tensor], about: JsonObject) -> Any: ...


_P = TypeVar("_P", bound=StoredPart)
_R = TypeVar("_R")


def kept_in(
    resume: str | Path | None,
    of: type[_P],
    join: Callable[[Sequence[_P]], _R],
    start: Sequence[_P],
    about: Callable[[], dict[str, Any]],
) -> Kept[_P, _R]:
    """Parts in memory, or also in a folder.

    Parameters
    ----------
    resume : str or Path, optional
        A folder; made where there is none.
    of : type
        Of the parts.
    join : callable
        See :class:`.Kept`.
    start : sequence
        Parts to go on from.
    about : callable
        Makes the run's :func:`.manifest`.

    Raises
    ------
    ParameterError
        If the folder is of another run, or there is something to start from beside it.
    """
    if resume is None:
        return Kept(join, start)
    if start:
        raise ParameterError("start and resume were given: both say what to go on from; give one.")
    folder = Path(resume)
    check_manifest(folder, about())
    return _InFolder(folder, of, join)


class _InFolder(Kept[_P, _R]):
    """Parts that are written as they are kept: each a file of its own, replaced whole."""

    def __init__(self, folder: Path, of: type[_P], join: Callable[[Sequence[_P]], _R]) -> None:
        super().__init__(join)
        self._folder, self._of = folder, of
        self._written = time.monotonic()

    def get(self, first: int, images: Sequence[object] | Tensor) -> _P | None:
        """The part that begins with this image; one that is damaged is none."""
        part = super().get(first, images)
        if part is None and (part := self._read(first, images)) is not None:
            super().put(first, part, images)
        return part

    def put(self, first: int, part: _P, images: Sequence[object] | Tensor) -> None:
        """Keep a part and write it; what is not complete not every time."""
        super().put(first, part, images)
        now = time.monotonic()
        if not part.complete and now - self._written < _EVERY:
            return
        self._written = now
        tensors, about = part._to_parts()
        about = {**about, _IMAGES: digest_of_images(images[: len(part)])}
        write_tensors(self._file(first), _kind(self._of), tensors, about)

    def _read(self, first: int, images: Sequence[object] | Tensor) -> _P | None:
        file = self._file(first)
        if not file.exists():
            return None
        try:
            tensors, about = read_tensors(file, _kind(self._of))
            with reading(file):
                before = about.pop(_IMAGES)
                part: _P = self._of._from_parts(tensors, about)
                count = len(part)
        except ParameterError:  # damaged: it is computed again
            return None
        if count > len(images):  # of other batches
            return None
        if before != digest_of_images(images[:count]):
            raise ParameterError(
                f"{self._folder} is of other images: image {first} and the {count - 1} that follow "
                "are not those that it was made of. Give another folder, or the same images in the "
                "same order."
            )
        return part

    def _file(self, first: int) -> Path:
        return self._folder / f"{first:08d}.safetensors"


class StoredResult:
    """One result in a folder, such as a curve, ever more of it."""

    def __init__(self, resume: str | Path, of: type[Any], about: dict[str, Any]) -> None:
        self._file, self._of = Path(resume) / "result.safetensors", of
        self._written = 0.0
        check_manifest(Path(resume), about)

    def load(self) -> Any:
        """What was written last; None of nothing, and of a damaged file."""
        if not self._file.exists():
            return None
        try:
            return self._of.load(self._file)
        except ParameterError:
            return None

    def save(self, result: Any, *, now: bool = False) -> None:
        """Write it, unless one was written just now and more will come."""
        time_now = time.monotonic()
        if now or result.complete or time_now - self._written >= _EVERY:
            self._written = time_now
            result.save(self._file)


def _kind(of: type[Any]) -> str:
    return f"part of {getattr(of, 'kind', of.__name__)}"
