"""What a run has computed in a folder, so that it goes on after its process was killed."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

from torch import Tensor

from ..errors import ParameterError
from ..results.files import reading
from ..results.storage import JsonObject, NewerFormatError, read_tensors, write_tensors
from .for_readers import ForReaders
from .headers import files_of_chunk, manifest_in_files
from .kept import Kept
from .manifest import check_manifest, compared, say_skipped
from .skipped import Skipped
from .told_images import digest_of_images, file_of

__all__ = [
    "IMAGES_OF_A_CHUNK",
    "StoredPart",
    "StoredResult",
    "kept_in",
]

IMAGES_OF_A_CHUNK = "images of a chunk"
"""What the manifest calls the number of images of a file."""

_EVERY = 1.0
"""Parts that are not complete are written at most so often, in seconds."""

_CHUNK = 256
"""Images of a file, once all of their parts are there."""


class StoredPart(Protocol):
    """A result of some images that a file can hold."""

    def __len__(self) -> int: ...

    @property
    def complete(self) -> bool:
        """Whether all is known of its images."""

    def _to_parts(self) -> tuple[dict[str, Tensor], JsonObject]: ...

    @classmethod
    def _from_parts(cls, tensors: dict[str, Tensor], about: JsonObject) -> Any: ...


_P = TypeVar("_P", bound=StoredPart)
_R = TypeVar("_R")


def kept_in(
    store: str | Path | None,
    of: type[_P],
    join: Callable[[Sequence[_P]], _R],
    start: Sequence[_P | Skipped],
    about: Callable[[], dict[str, Any]],
    total: int | None = None,
) -> Kept[_P, _R]:
    """Parts in memory, or in a folder.

    Parameters
    ----------
    store : str or Path, optional
        A folder; made where there is none.
    of : type
        Of the parts.
    join : callable
        See :class:`.Kept`.
    start : sequence
        Parts to go on from, with what stands for images that were skipped.
    about : callable
        Makes the run's :func:`.manifest`.
    total : int, optional
        Number of all images, where that is known.

    Raises
    ------
    ParameterError
        If the folder is of another run, or there is something to start from beside it.
    """
    if store is None:
        return Kept(join, start, total)
    if start:
        raise ParameterError("start and store were given: both say what to go on from; give one.")
    folder = Path(store)
    extent = {} if total is None else {"total": total}
    run = {**about(), **extent, IMAGES_OF_A_CHUNK: _CHUNK}
    check_manifest(folder, run, lambda: manifest_in_files(folder))
    return _InFolder(folder, of, join, total, compared(run))


class _InFolder(Kept[_P, _R]):
    """Parts in files, of which those of a chunk of images become one.

    A file is replaced whole, so that a process may be killed, and several may run, at any moment.
    In memory are the parts of one chunk, and of the one that was read last.
    """

    def __init__(
        self,
        folder: Path,
        of: type[_P],
        join: Callable[[Sequence[_P]], _R],
        total: int | None,
        run: dict[str, Any],
    ) -> None:
        super().__init__(join, total=total)
        self._run = run
        self._of, self._parts_in, self._chunks_in = of, folder / "parts", folder / "chunks"
        self.folder = folder
        try:
            for made in (self._parts_in, self._chunks_in):
                made.mkdir(exist_ok=True)
        except OSError as error:
            raise ParameterError(f"{folder} cannot be used as a store: {error}.") from error
        self._for_readers = ForReaders(folder, _CHUNK)
        self._files: dict[int, str] = {}  # that images of a chunk to come were read from
        self._written = time.monotonic()
        self._looked_at: tuple[int, list[_P | Skipped], list[str]] = -1, [], []  # a chunk

    def holds(self, number: int) -> bool:
        """Whether there is a file of it."""
        in_chunk = number % _CHUNK < len(self._chunk_with(number)[1])
        return in_chunk or super().holds(number) or self._part_file(number).exists()

    def room(self, first: int) -> int:
        """Up to the end of a chunk."""
        return _CHUNK - first % _CHUNK

    def known_until(self, first: int, images: Sequence[object] | Tensor) -> int:
        """Of the given images those that a chunk holds need not be read to be known."""
        offset = first % _CHUNK
        before = self._chunk_with(first)[1][offset : offset + len(images)]
        if not before:
            return super().known_until(first, images)
        number = -offset
        for part in self._chunk_with(first)[0]:
            if 0 <= number < len(before) and not self._stays(part, images[number:]):
                before = before[:number]
            number += len(part)
        self._check_same(first, before, images)
        return first + len(before)

    def get(self, first: int, images: Sequence[object] | Tensor) -> _P | Skipped | None:
        """The part that begins with this image; one that is damaged is none."""
        part = super().get(first, images)
        if part is not None:
            return part
        parts, digests = self._chunk_with(first)
        offset, before = first % _CHUNK, 0
        for part in parts:
            if before == offset and len(part) <= len(images):
                if isinstance(part, Skipped):
                    return part
                self._check_same(first, digests[offset : offset + len(part)], images)
                return part
            before += len(part)
        read = self._read_part(first)
        if read is None or len(read[0]) > len(images):  # of other batches
            return None
        if isinstance(read[0], Skipped):
            return read[0]
        self._check_same(first, read[1], images)
        self._take_files(first, images[: len(read[0])])
        super().put(first, read[0], images)
        return read[0]

    def put(self, first: int, part: _P | Skipped, images: Sequence[object] | Tensor) -> None:
        """Keep a part and write it; what is not complete not every time."""
        super().put(first, part, images)
        now = time.monotonic()
        if not part.complete and now - self._written < _EVERY:
            return
        self._written = now
        self._take_files(first, images[: len(part)])
        digests = [digest_of_images(images[i : i + 1]) for i in range(len(part))]
        self._write(self._part_file(first), [part], digests)
        in_chunk = first % _CHUNK < len(self._chunk_with(first)[1])  # it was skipped before
        if part.complete and ((first + len(part)) % _CHUNK == 0 or in_chunk):
            self._gather(first // _CHUNK)
        if isinstance(part, Skipped):
            say_skipped(self._parts_in.parent, {first: part.reason})

    def each(self, run: Iterator[None]) -> Iterator[_R]:
        """One result, in the end: to read all again after each step would take ever longer."""
        yield self.after(run)

    def after(self, run: Iterator[None]) -> _R:
        """The result after all steps."""
        for _ in run:
            pass
        number = 0
        while self._gathered(number):
            number += 1
        result = self.result()
        say_skipped(self._parts_in.parent, getattr(result, "skipped", {}), all_of_them=True)
        return result

    def _first_parts(self) -> Iterator[_P | Skipped]:
        first, before = 0, -1
        while first > before:
            before = first
            chunk = self._read_chunk(first // _CHUNK) if first % _CHUNK == 0 else None
            parts: Sequence[_P | Skipped] = [] if chunk is None else chunk[0]
            if not parts:
                read = self._read_part(first)
                parts = [self._parts[first]] if first in self._parts else [read[0]] if read else []
            for part in parts:
                yield part
                first += len(part) if part.complete else 0

    def _chunk_with(self, first: int) -> tuple[list[_P | Skipped], list[str]]:
        """What there is of the chunk with this image."""
        number, parts, digests = self._looked_at
        if number != first // _CHUNK or len(digests) < _CHUNK:
            number = first // _CHUNK
            parts, digests = self._read_chunk(number) or ([], [])
            self._looked_at = number, parts, digests
        return parts, digests

    def _gathered(self, number: int) -> bool:
        """Whether a chunk is full, once its parts were gathered."""
        if len((self._read_chunk(number) or ([], []))[1]) == _CHUNK:
            return True
        self._gather(number)
        return len((self._read_chunk(number) or ([], []))[1]) == _CHUNK

    def _gather(self, number: int) -> None:
        """Make one file of the parts of a chunk, as far as they are there."""
        first, last = number * _CHUNK, (number + 1) * _CHUNK
        parts, digests = self._read_chunk(number) or ([], [])
        count, gathered = len(digests), self._computed_after_all(first, parts, digests)
        changed = bool(gathered)
        while (at := first + len(digests)) < last and (read := self._read_part(at)) is not None:
            if not read[0].complete or at + len(read[0]) > last:
                break
            gathered.append(at)
            parts, digests = [*parts, read[0]], [*digests, *read[1]]
        # Another run may have gathered them meanwhile: it wrote its file before it removed them.
        beside = self._read_chunk(number)
        if changed or len(digests) > max(count, 0 if beside is None else len(beside[1])):
            known = files_of_chunk(self._chunks_in.parent, number) or [""] * len(digests)
            known += [""] * (len(digests) - len(known))
            files = [self._files.pop(first + n, file) for n, file in enumerate(known)]
            self._write(self._chunk_file(number), parts, digests, files)
            self._looked_at = -1, [], []
        for at in gathered:
            self._part_file(at).unlink(missing_ok=True)
            self._parts.pop(at, None)
        self._for_readers.show(
            lambda n: (self._read_chunk(n) or ([],))[0], again=number if changed else None
        )

    def _computed_after_all(
        self, first: int, parts: list[_P | Skipped], digests: list[str]
    ) -> list[int]:
        """Put parts in the place of images of a chunk that were skipped before: their numbers."""
        numbers, position = list[int](), 0
        for place, part in enumerate(parts):
            read = self._read_part(first + position) if isinstance(part, Skipped) else None
            if read is not None and read[0].complete and len(read[0]) == 1:
                parts[place], digests[position] = read[0], read[1][0]
                numbers.append(first + position)
            position += len(part)
        return numbers

    def _read_part(self, first: int) -> tuple[_P | Skipped, list[str]] | None:
        read = self._read(self._part_file(first))
        return None if read is None else (read[0][0], read[1])

    def _read_chunk(self, number: int) -> tuple[list[_P | Skipped], list[str]] | None:
        return self._read(self._chunk_file(number))

    def _read(self, file: Path) -> tuple[list[_P | Skipped], list[str]] | None:
        """Parts and a digest of each of their images; None where there are none, or damaged."""
        if not file.exists():
            return None
        try:
            tensors, about = read_tensors(file, _kind(self._of))
            with reading(file):
                parts = [
                    Skipped(each["skipped image"], each["digest"])
                    if "skipped image" in each
                    else self._of._from_parts(
                        {
                            name.removeprefix(f"{number} "): values
                            for name, values in tensors.items()
                            if name.startswith(f"{number} ")
                        },
                        each,
                    )
                    for number, each in enumerate(about["parts"])
                ]
                digests = list(about["digests"])
                if len(digests) != sum(map(len, parts)) or not parts:
                    raise ValueError("its images are not as many as its parts have")
        except NewerFormatError:
            raise
        except ParameterError:  # it is computed again
            if file.exists() and not os.access(file, os.R_OK):  # nor could it be replaced
                raise
            return None
        return parts, digests

    def _write(
        self,
        file: Path,
        parts: Sequence[_P | Skipped],
        digests: Sequence[str],
        files: Sequence[str] = (),
    ) -> None:
        tensors: dict[str, Tensor] = {}
        about = []
        for number, part in enumerate(parts):
            if isinstance(part, Skipped):
                about.append({"skipped image": part.reason, "digest": part.image})
                continue
            of_part, about_part = part._to_parts()
            tensors |= {f"{number} {name}": values for name, values in of_part.items()}
            about.append(about_part)
        said = {"digests": list(digests), "files": list(files), "run": self._run}
        write_tensors(file, _kind(self._of), tensors, {"parts": about, **said})

    def _take_files(self, first: int, images: Sequence[object] | Tensor) -> None:
        files = ((first + number, file_of(image)) for number, image in enumerate(images))
        self._files.update({number: file for number, file in files if file})

    def _check_same(
        self, first: int, before: Sequence[str], images: Sequence[object] | Tensor
    ) -> None:
        for number, digest in enumerate(before):
            if digest != digest_of_images(images[number : number + 1]):
                raise ParameterError(
                    f"{self._parts_in.parent} is of other images: image {first + number} is not "
                    "the one that it was made of, or has another label. Give another folder, or "
                    "the same images in the same order."
                )

    def _part_file(self, first: int) -> Path:
        return self._parts_in / f"{first:08d}.safetensors"

    def _chunk_file(self, number: int) -> Path:
        return self._chunks_in / f"{number:06d}.safetensors"


class StoredResult:
    """One result in a folder, such as a curve, ever more of it."""

    def __init__(self, store: str | Path, of: type[Any], about: dict[str, Any]) -> None:
        self._file, self._of = Path(store) / "result.safetensors", of
        self._written = 0.0
        check_manifest(Path(store), about, lambda: {} if self._file.exists() else None)

    def load(self) -> Any:
        """What was written last; None of nothing, and of a damaged file."""
        if not self._file.exists():
            return None
        try:
            return self._of.load(self._file)
        except NewerFormatError:
            raise
        except ParameterError:
            return None

    def save(self, result: Any, *, now: bool = False) -> None:
        """Write it, unless one was written just now and more will come."""
        time_now = time.monotonic()
        if now or result.complete or time_now - self._written >= _EVERY:
            self._written = time_now
            result.save(self._file)


def _kind(of: type[Any]) -> str:
    return f"parts of {getattr(of, 'kind', of.__name__)}"
