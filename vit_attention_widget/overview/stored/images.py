"""Images that a long run has measured, by the folder that it fills."""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np
from numpy.typing import NDArray

from ...errors import ParameterError
from ...models import VisionTransformer
from ...models.archived_picture import ArchivedPicture
from ...models.images import ImageLike
from ...results.zarr_reader import ZarrReader
from ...runs.folder import IMAGES_OF_A_CHUNK
from ...runs.headers import digests_of_chunk, files_of_chunk
from ...runs.manifest import NOT_COMPARED, read_manifest
from ...runs.of_model import ALL_WEIGHTS, OUTPUT, PREPARED, PROMPTS, alike, told_of_model
from ...runs.told import digest
from ...support.words import sendable
from .places import other_places, same_picture

__all__ = ["OF_HEADS", "StoredImages", "is_store"]

OF_HEADS = ("head_importance", "image_overview", "attention_strength")
"""Functions whose folders hold a number for each image and head."""

_SHOWN = {"AttentionPatterns.fit": ", and shown by giving that as patterns="}
"""How the results of other functions are seen in widgets."""

_AXES = ("image", "layer", "head")
_NO_NAMES = digest(b"[]")
_CLASSES = "label", "predicted"
"""Whichever there is says which class an image is of."""

_OF_MODEL = (
    *("model", "heads", "output", "preparation", PREPARED, "weights", ALL_WEIGHTS, "classes"),
    PROMPTS,
    OUTPUT,
)
_OPTIONS = "target", "head_mask"
_MOST_CLASSES = 2**20
_AT_ONCE = 8
"""Files whose values are given together."""

_RECENT = 6
"""The rate is that of so many files."""

_STALLED, _PATIENCE = 4, 20.0
"""Nothing comes any more after so many times as long as a file took, and so many seconds."""

Floats = NDArray[np.float32]


def is_store(images: object) -> TypeGuard[str | os.PathLike[str]]:
    """Whether an image set is a folder, or the path of what is not there: no image."""
    return isinstance(images, str | os.PathLike) and not Path(images).expanduser().is_file()


class StoredImages:
    """Images of which a folder holds a number for each head, as far as it is filled.

    Parameters
    ----------
    folder : str or Path
        As ``store=`` of :func:`~vit_attention_widget.head_importance`, ``image_overview`` or
        ``attention_strength``.
    vit : VisionTransformer
        The model that it must be of.

    Attributes
    ----------
    folder : Path
    function : str
        What fills it.
    count : int
        Images that are there, as of the last :meth:`look`.
    total : int or None
        How many there will be, where that is known.
    quantities : list of str
        What is known of heads: metrics of their importance, or how far they attend.

    Raises
    ------
    ParameterError
        If there is no such folder, or it is of another model; the message says what differs.
    """

    def __init__(self, folder: str | os.PathLike[str], vit: VisionTransformer) -> None:
        self.folder = Path(folder).expanduser()
        self._zarr = ZarrReader(self.folder, "image")
        self._about: dict[str, Any] = {}
        self._files: tuple[int, list[str]] = -1, []
        self._labels: list[object] = []  # that an image may have come with
        self.look()
        self.check(vit)

    def __len__(self) -> int:
        return self._zarr.count

    @property
    def function(self) -> str:
        """What fills the folder."""
        return str(self._about["function"])

    @property
    def total(self) -> int | None:
        """How many images there will be, where that is known."""
        total = self._about.get("total")
        return total if isinstance(total, int) and total >= len(self) else None

    @property
    def options(self) -> str:
        """What was asked for beside the defaults, in words: ``"target: 5"``."""
        asked = {n: v for n, v in self._about.items() if n in _OPTIONS and v not in (None, {}, [])}
        return ", ".join(f"{name}: {json.dumps(value)}" for name, value in asked.items())

    @property
    def last(self) -> float:
        """When the last images came, in seconds since the epoch; 0 where there are none."""
        times = self._times()
        return times[-1] if times else 0.0

    @property
    def rate(self) -> float:
        """Images a second by the last few files; 0 where no more come, or it is not known yet."""
        times = self._times()
        if len(times) < 2 or len(self) == self.total:
            return 0.0
        each = max(1e-3, float(np.median(np.diff(times))))  # it may have rested meanwhile
        quiet = abs(time.time() - times[-1]) > _STALLED * each + _PATIENCE  # clocks are moved
        return 0.0 if quiet else self._chunk / each

    def _times(self) -> list[float]:
        if not self.quantities:
            return []
        number = math.ceil(len(self) / self._chunk)
        files = (self._zarr.file(self.quantities[0], n) for n in range(number)[-_RECENT:])
        return sorted(file.stat().st_mtime for file in files if file.exists())

    @property
    def skipped(self) -> dict[int, str]:
        """Images that could not be computed, by number, and why."""
        skipped = self._zarr.attributes.get("skipped", {})
        return {int(number): str(why) for number, why in skipped.items()}

    @property
    def quantities(self) -> list[str]:
        """Names of the values over images and heads."""
        return self._zarr.over(*_AXES)

    def look(self) -> bool:
        """Look what there is by now; whether that is anything else than before.

        Raises
        ------
        ParameterError
            If the folder is gone, damaged, of another run than before, or no store.
        """
        about, before = _manifest(self.folder), self._about
        if before and _of_run(about) != _of_run(before):
            raise ParameterError(
                f"{self.folder} is of another run now ({about['function']} of "
                f"{about.get('model')}): open it anew."
            )
        changed = self._zarr.look()
        if about["function"] not in OF_HEADS or (len(self) and not self.quantities):
            function = str(about["function"])
            raise ParameterError(
                f"{self.folder} is of {function}, which knows no number of each image and head: "
                f"give a folder of {', '.join(OF_HEADS)}. What it holds is returned by the same "
                f"call with store={str(self.folder)!r}{_SHOWN.get(function, '')}."
            )
        try:
            self.skipped.keys()
        except (ValueError, AttributeError) as error:
            raise ParameterError(f"{self.folder} is damaged: {error}.") from error
        self._about = about
        return changed or about != before

    def check(self, vit: VisionTransformer) -> None:
        """Raise :class:`ParameterError` where the folder is of another model, with what differs."""
        here = told_of_model(vit)
        self._labels = [*range(vit.num_classes), *(vit.class_names or ())]
        for name in _OF_MODEL:
            then, now = self._about.get(name), here.get(name)
            if alike(name, then, now) or (name == "classes" and _NO_NAMES in (then, now)):
                continue
            raise ParameterError(f"{self.folder} is of another model: {_differ(name, then, now)}.")

    def values(self, quantity: str, first: int, last: int) -> Iterator[tuple[int, Floats]]:
        """Values [image, layer, head] of a few files at a time, with the number of the first image.

        Raises
        ------
        ParameterError
            If a file is damaged; the message names it.
        """
        size = self._zarr.chunk_size(quantity)
        while first < last:
            ends, parts = first, list[Floats]()
            try:
                while ends < last and len(parts) < _AT_ONCE:
                    until = min(last, (ends // size + 1) * size)
                    parts.append(self._zarr.rows(quantity, ends, until).astype(np.float32))
                    ends = until
            except ParameterError:  # those before it are there
                if parts:
                    yield first, np.concatenate(parts)
                raise
            yield first, np.concatenate(parts)
            first = ends

    def classes(self, first: int, last: int) -> NDArray[np.int64]:
        """Class of each image, its label or else the predicted one; -1 where none is known.

        Raises
        ------
        ParameterError
            If their file is damaged.
        """
        classes = self._column(_CLASSES, first, last, np.int64, -1)
        classes[[n - first for n in self.skipped if first <= n < last]] = -1
        if len(classes) and not -1 <= classes.min() <= classes.max() < _MOST_CLASSES:
            raise ParameterError(
                f"{self.folder} is damaged: images {first:,} to {last - 1:,} have classes "
                f"{classes.min()} to {classes.max()}."
            )
        return classes

    def probability(self, image: int) -> float:
        """Of an image's class, or the value of the target; NaN where it is not known."""
        value = self._column(("probability", "baseline"), image, image + 1, np.float64, np.nan)
        return float(value[0])

    def _column(
        self, names: tuple[str, ...], first: int, last: int, dtype: Any, missing: float
    ) -> NDArray[Any]:
        there = [name for name in names if name in self._zarr.over("image")]
        if not there:
            return np.full(last - first, missing, dtype)
        size = self._zarr.chunk_size(there[0])
        ends = [first, *range((first // size + 1) * size, last, size), last]
        parts = [self._zarr.rows(there[0], a, b) for a, b in pairwise(ends)]
        return np.concatenate(parts).astype(dtype)

    # Its pictures, as an image set has them -------------------------------------------------------

    @property
    def has_files(self) -> bool:
        """Whether the first images name what they were read from."""
        return bool(len(self)) and any(self._files_of(0))

    def file(self, image: int) -> str | ArchivedPicture:
        """What an image was read from, a file or a part of one; "" where that is not known."""
        number, place = divmod(image, self._chunk)
        files = self._files_of(number)
        text = files[place] if place < len(files) else ""
        return ArchivedPicture.from_text(text) or text

    def name(self, image: int) -> str:
        """File name of an image, or its number."""
        file = self.file(image)
        path = file.name if isinstance(file, ArchivedPicture) else file
        return sendable(os.path.basename(path)) or f"image {image}"

    def raw(self, image: int) -> ImageLike:
        """The file of an image, or its place in one.

        Raises
        ------
        ParameterError
            If the folder does not name it, or it is not there.
        """
        file = self.file(image)
        if not file:
            raise ParameterError(
                f"Image {image} of {self.folder} cannot be opened: it was not read from a file. "
                "Give the run paths of pictures, or vaw.TarShards, to have them here."
            )
        path = file.archive if isinstance(file, ArchivedPicture) else file
        moved = file if os.path.isfile(path) else self._moved(image, file, path)
        if moved is None:
            raise ParameterError(
                f"Image {image} of {self.folder} cannot be opened: {path} is gone. If it lies "
                f"elsewhere now, say where: vaw.images_moved({str(self.folder)!r}, 'folder')."
            )
        return moved

    def _moved(
        self, image: int, file: str | ArchivedPicture, path: str
    ) -> str | ArchivedPicture | None:
        """An image that does not lie any more where it was read, if it is known where it does."""
        number, place = divmod(image, self._chunk)
        another, about = "", read_manifest(self.folder)  # it may have been said just now
        for other in other_places(path, self.folder, about):
            if other == path or not os.path.isfile(other):
                continue
            digests = digests_of_chunk(self.folder, number)
            digest = digests[place] if place < len(digests) else ""
            moved = same_picture(file, other, digest, self._labels)
            if moved is not None:
                return moved
            another = other
        if another:
            raise ParameterError(
                f"Image {image} of {self.folder} cannot be opened: {path} is gone, and {another} "
                "is another picture."
            )
        return None

    def as_input(self, image: int) -> ImageLike:
        """What the model is given of an image."""
        return self.raw(image)

    @property
    def _chunk(self) -> int:
        return int(self._about.get(IMAGES_OF_A_CHUNK, 256))

    def _files_of(self, number: int) -> list[str]:
        if self._files[0] != number or len(self._files[1]) < self._chunk:
            self._files = number, files_of_chunk(self.folder, number)
        return self._files[1]


def _manifest(folder: Path) -> dict[str, Any]:
    """What a folder is of."""
    ask = "the folder that head_importance(..., store=...) or the like fills"
    if not folder.exists():
        raise ParameterError(f"{folder} does not exist: image_set takes images, or {ask}.")
    if not (folder / "manifest.json").exists():
        raise ParameterError(f"{folder} holds no store: image_set takes images, or {ask}.")
    about = read_manifest(folder)
    try:
        if not int(about.get(IMAGES_OF_A_CHUNK, 1)) > 0:
            raise ValueError(f"its {IMAGES_OF_A_CHUNK} are {about[IMAGES_OF_A_CHUNK]}")
    except (TypeError, ValueError) as error:
        raise ParameterError(f"{folder / 'manifest.json'} is damaged: {error}.") from error
    return about


def _of_run(about: dict[str, Any]) -> dict[str, Any]:
    """What stays the same as long as it is the same run."""
    return {name: about[name] for name in about if name not in NOT_COMPARED}


def _differ(name: str, then: object, now: object) -> str:
    if name == "weights":
        return "its weights are others, as of another checkpoint"
    if name == "classes":
        return "its classes have other names"
    if name == PREPARED:
        return "pictures were prepared in another size, or by other numbers"
    if name == PROMPTS:
        return "its prompts have other features, or another scale"
    if name == OUTPUT:
        return "the model with these weights gave another output for the same picture"
    what = {"model": "it is", "preparation": "pictures were prepared by"}.get(name, f"its {name}:")
    return f"{what} {then}, here {now}"
