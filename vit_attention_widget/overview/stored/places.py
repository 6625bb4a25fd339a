"""Where the pictures of a store lie now: where they were read, or where they have moved to."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from PIL import Image

from ...errors import ParameterError
from ...models.archived_picture import ArchivedPicture
from ...runs.headers import files_of_chunk
from ...runs.manifest import IMAGES_AT, WRITTEN_AT, read_manifest, say_images_at
from ...runs.told_images import is_digest_of

__all__ = ["images_moved", "other_places", "same_picture"]

_CHUNKS = 16
"""Of so many files of a store some pictures are looked for."""


def images_moved(store: str | os.PathLike[str], to: str | os.PathLike[str]) -> None:
    """Say in a store where its pictures lie now, for all who open it, now and later.

    A picture is looked for by the end of its path: ``/old/val/n01/a.jpg`` is ``val/n01/a.jpg``,
    ``n01/a.jpg`` or ``a.jpg`` in the new folder, and is shown if it is the picture that the run was
    given. Pictures that moved with the store are found without it.

    Parameters
    ----------
    store : str or Path
        A folder that a long function fills or has filled.
    to : str or Path
        The folder of the pictures, or one above it.

    Raises
    ------
    ParameterError
        If one of them is no such folder, no picture lies there, or the store cannot be written.

    Examples
    --------
    >>> import tempfile, vit_attention_widget as vaw
    >>> from pathlib import Path
    >>> from PIL import Image
    >>> there = Path(tempfile.mkdtemp())
    >>> (there / "old").mkdir()
    >>> Image.fromarray(vaw.demo.scene(seed=1).image).save(there / "old" / "scene.png")
    >>> store, pictures = there / "strength", [there / "old" / "scene.png"]
    >>> _ = vaw.attention_strength(vaw.demo.load_model(), pictures, store=store)
    >>> _ = (there / "old").rename(there / "new")
    >>> vaw.images_moved(store, there / "new")
    """
    folder, place = Path(store).expanduser(), Path(to).expanduser().resolve()
    about = read_manifest(folder)
    if not place.is_dir():
        raise ParameterError(f"{place} is no folder: give the one that the pictures lie in now.")
    files = [name for number in range(_CHUNKS) for name in files_of_chunk(folder, number) if name]
    if not files:
        raise ParameterError(
            f"{folder} names no pictures: the run was not given paths, or has none finished yet."
        )
    paths = [_path_of(name) for name in files]
    if not any(os.path.isfile(other) for path in paths for other in _ends(path, place)):
        raise ParameterError(
            f"No picture of {folder} lies in {place}: looked for "
            f"{' and '.join(list(_ends(paths[0], place))[-2:])}."
        )
    before = [each for each in _said_places(about) if each != str(place)]
    say_images_at(folder, [str(place), *before])


def other_places(path: str, folder: Path, about: dict[str, object]) -> Iterator[str]:
    """Files that a picture of a store may be by now, likelier ones first."""
    written_at = about.get(WRITTEN_AT)
    if isinstance(written_at, str):
        with suppress(ValueError):  # another drive
            beside = os.path.relpath(path, written_at)
            yield os.path.normpath(os.path.join(folder.resolve(), beside))
    for place in _said_places(about):
        yield from _ends(path, Path(place))


def same_picture(
    file: str | ArchivedPicture, path: str, digest: str, labels: Sequence[object]
) -> str | ArchivedPicture | None:
    """What lies at another path, if that is the picture; None if not.

    ``digest`` is that of the picture without a label, or with one of ``labels``.
    """
    moved = replace(file, archive=path) if isinstance(file, ArchivedPicture) else path
    with suppress(Exception):  # whatever a damaged picture makes of it
        if is_digest_of(digest, moved, labels):
            return moved
        if isinstance(moved, str) and is_digest_of(digest, Image.open(path), labels):
            return moved  # the run was given it opened
    return None


def _said_places(about: dict[str, object]) -> list[str]:
    places = about.get(IMAGES_AT)
    return [str(place) for place in places] if isinstance(places, list) else []


def _path_of(name: str) -> str:
    archived = ArchivedPicture.from_text(name)
    return name if archived is None else archived.archive


def _ends(path: str, place: Path) -> Iterator[str]:
    """The path's ends in another folder, the longest first; of whichever system it is."""
    parts = [part for part in re.split(r"[\\/]+", path) if part]
    for first in range(len(parts)):
        yield os.path.join(place, *parts[first:])
