"""Image sets in tar files, as WebDataset writes them, read in place."""

from __future__ import annotations

import glob
import os
import tarfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeAlias, overload

from ..errors import ImageError, ParameterError
from ..models.archived_picture import ArchivedPicture
from ..support.words import said

__all__ = ["TarShards"]

_PICTURES = ("jpg", "jpeg", "png", "webp", "ppm", "bmp", "tif", "tiff", "gif")
_LABEL_BYTES = 4096
"""A label is a number or a name: more bytes are something else."""

_Sample: TypeAlias = ArchivedPicture | tuple[ArchivedPicture, int | str]


class TarShards(Sequence[_Sample]):
    """Pictures in tar files, with their classes; can be passed wherever images are.

    Files of a shard that share the name up to its first dot are a sample, as in WebDataset: of
    ``n01440764_10026.jpg`` and ``n01440764_10026.cls`` the first is the picture, the second its
    class, a number or a name. Nothing is extracted: a shard is indexed once, and
    each picture is read in place when it is needed, by workers too (``executor=``).

    Parameters
    ----------
    shards : path or sequence of paths
        A tar file, a pattern such as ``"train-*.tar"``, a folder of tar files, or several.
    picture : str, optional
        The ending of the pictures, such as ``"jpg"``, where samples hold more than one.
    label : str, optional
        The ending of the classes; None if the pictures have none.
    classes : sequence of str, optional
        What classes by number are called.

    Raises
    ------
    ImageError
        If there is no such file, one is damaged or compressed, or holds no picture.
    ParameterError
        If a sample has two pictures, or a class that is no number and no name.

    Examples
    --------
    >>> import vit_attention_widget as vaw
    >>> shards = vaw.TarShards("imagenet-val-*.tar")  # doctest: +SKIP
    >>> vaw.head_importance(model, shards, store="importance")  # doctest: +SKIP
    """

    def __init__(
        self,
        shards: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
        *,
        picture: str | None = None,
        label: str | None = "cls",
        classes: Sequence[str] | None = None,
    ) -> None:
        self.shards = [path for pattern in _listed(shards) for path in _files(pattern)]
        self.classes = None if classes is None else list(classes)
        self._samples: list[_Sample] = []
        pictures = _PICTURES if picture is None else (picture.lower().lstrip("."),)
        for path in self.shards:
            self._samples += _samples(path, pictures, label and label.lower().lstrip("."))
        if not self._samples:
            raise ImageError(
                f"There is no picture in {', '.join(self.shards[:3])}: names that end in "
                f"{', '.join(pictures)} were expected."
            )

    def __len__(self) -> int:
        return len(self._samples)

    @overload
    def __getitem__(self, index: int) -> _Sample: ...

    @overload
    def __getitem__(self, index: slice) -> list[_Sample]: ...

    def __getitem__(self, index: int | slice) -> _Sample | list[_Sample]:
        return self._samples[index]

    def __repr__(self) -> str:
        return f"<TarShards: {len(self)} pictures in {len(self.shards)} tar files>"


def _listed(
    shards: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
) -> list[str | os.PathLike[str]]:
    return [shards] if isinstance(shards, str | os.PathLike) else list(shards)


def _files(pattern: str | os.PathLike[str]) -> list[str]:
    """The tar files that a path, a folder or a pattern names, in order."""
    text = os.path.expanduser(os.fspath(pattern))
    path = Path(text)
    listed = path.glob("*.tar") if path.is_dir() else [path] if path.is_file() else glob.glob(text)
    shards = sorted(os.fspath(file) for file in listed if os.path.isfile(file))
    if not shards:
        raise ImageError(
            f"There is no tar file {text!r} (working directory {os.getcwd()!r}): give a tar file, "
            "a folder of them, or a pattern such as 'val-*.tar'."
        )
    return [os.path.abspath(file) for file in shards]


def _samples(path: str, pictures: Sequence[str], label: str | None) -> Iterator[_Sample]:
    """The samples of a shard: members of one key, which lie one after another."""
    key, picture, cls = None, None, None
    for member in _members(path):
        folder, _, name = member.name.rpartition("/")
        stem, _, ending = name.partition(".")
        if (folder, stem) != key:
            if picture is not None:
                yield picture if cls is None else (picture, cls)
            key, picture, cls = (folder, stem), None, None
        ending = ending.lower()
        if ending in pictures:
            if picture is not None:
                raise ParameterError(
                    f"{path} holds two pictures of {stem!r}, {picture.name!r} and {member.name!r}: "
                    "say which is meant, such as picture='jpg'."
                )
            picture = ArchivedPicture(path, member.name, member.offset_data, member.size)
        elif ending == label:
            cls = _class(path, member)
    if picture is not None:
        yield picture if cls is None else (picture, cls)


def _members(path: str) -> Iterator[tarfile.TarInfo]:
    """Files in a tar file that lie there as they are: no links, devices, or files with holes."""
    try:
        end = os.path.getsize(path)
        with tarfile.open(path, "r:") as shard:
            for member in shard:
                if member.isreg() and not member.issparse():
                    if member.offset_data + member.size > end:
                        raise tarfile.ReadError(f"it ends within {member.name!r}")
                    yield member
            last = shard.offset
        with open(path, "rb") as file:  # a damaged header looks like the end to tarfile
            file.seek(last)
            if file.read(tarfile.BLOCKSIZE).strip(b"\0") or end % tarfile.BLOCKSIZE:
                raise tarfile.ReadError(f"it is cut off or damaged after {last} of {end} bytes")
    except (tarfile.TarError, OSError, ValueError, OverflowError) as error:
        packed = _is_compressed(path)
        why = "it is compressed, so nothing can be read in place; unpack it to .tar once"
        raise ImageError(
            f"{path} cannot be read as a tar file: {why if packed else said(error)}."
        ) from error


def _class(path: str, member: tarfile.TarInfo) -> int | str:
    """A class by number or name."""
    text = ""
    if member.size <= _LABEL_BYTES:
        content = ArchivedPicture(path, member.name, member.offset_data, member.size).content()
        text = content.decode("utf-8", "replace").strip()
    if not text or not text.isprintable():
        raise ParameterError(
            f"{member.name!r} of {path} holds no class: a number or a name was expected. Say "
            "where the classes are, such as label='cls', or label=None if there are none."
        )
    return int(text) if text.isascii() and text.isdigit() else text


def _is_compressed(path: str) -> bool:
    try:
        with open(path, "rb") as file:
            start = file.read(6)
    except OSError:
        return False
    return start.startswith((b"\x1f\x8b", b"BZh", b"\xfd7zXZ\x00", b"\x28\xb5\x2f\xfd"))
