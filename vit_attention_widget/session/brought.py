"""Pictures that are brought along in the browser: how they come, and how one gets back to them."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from PIL import Image

from ..errors import ImageError, ProtocolError
from ..models.images import ImageLike, load_image
from ..protocol.schema.binary import Uint8
from ..protocol.schema.requests import MOST_BYTES
from ..protocol.schema.tensors import Thumbnails
from ..protocol.tensors import encode
from .context import Context

__all__ = ["MOST_PARTS", "BroughtPictures"]

MOST_PARTS = 64
_PART = 8_000_000
"""Most bytes of a part: Jupyter's websockets carry ten million at a time."""

_KEPT, _TOGETHER = 12, 256_000_000
"""Pictures that stay within reach, and bytes of their files."""

_SIDE = 48
"""Of a thumbnail, in pixels."""


@dataclass(eq=False)
class _Picture:
    """A picture that was looked at, as it was given, or the bytes of a file that was brought."""

    name: str
    given: ImageLike
    file: bytes = b""
    thumbnail: Uint8 = field(default_factory=lambda: np.zeros((_SIDE, _SIDE, 3), np.uint8))

    def read(self) -> ImageLike:
        """What the session looks at."""
        return _named(load_image(self.file), self.name) if self.file else self.given


@dataclass(eq=False)
class _Coming:
    """A file whose parts are on their way."""

    upload: str
    parts: list[bytes] = field(default_factory=list)


class BroughtPictures:
    """The pictures that were looked at beside those of the image set: given, and brought along.

    The trait ``_brought`` has their names, and which is looked at; ``_brought_thumbnails`` small
    pictures of what the model sees of them.

    Parameters
    ----------
    context : Context
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self._pictures: list[_Picture] = []
        self._coming: _Coming | None = None
        self._next: tuple[ImageLike, _Picture] | None = None  # what is about to be looked at
        self._shown: tuple[ImageLike, _Picture] | None = None  # and what is, or was last

    def receive(
        self, upload: str, name: str, part: int, parts: int, data: bytes
    ) -> ImageLike | None:
        """Take a part of a file; the picture, to be looked at, once all are there.

        Raises
        ------
        ProtocolError
            If the part is not the next one.
        ImageError
            If the file is too large, or no picture that can be read.
        """
        if part == 0:
            self._coming = _Coming(upload)
        coming = self._coming
        if coming is None or coming.upload != upload or part != len(coming.parts):
            raise ProtocolError(f"Part {part} of a picture came out of turn: bring it again.")
        coming.parts.append(data)
        size = sum(map(len, coming.parts))
        if not data or len(data) > _PART or size > MOST_BYTES:
            self._coming = None
            raise ImageError(
                f"The picture's file is too large or empty: it comes in parts of 1 to {_PART:,} "
                f"bytes, {MOST_BYTES:,} in all. Make it smaller first."
            )
        if part < parts - 1:
            return None
        self._coming = None
        file = b"".join(coming.parts)
        image = _named(load_image(file), name)
        self._next = image, _Picture(name, image, file)
        return image

    def again(self, index: int) -> ImageLike:
        """One of the pictures, to be looked at again.

        Raises
        ------
        ProtocolError
            If there is no such picture.
        """
        if not 0 <= index < len(self._pictures):
            raise ProtocolError(f"There is no picture {index}: there are {len(self._pictures)}.")
        picture = self._pictures[index]
        image = picture.read()
        self._next = image, picture
        return image

    def follow(self, seen: Image.Image) -> None:
        """Say what is looked at now, of which the model sees this; called with the lock held."""
        context, traits = self._context, self._context.traits
        is_given = context.opened < 0
        if is_given and (self._shown is None or context.own_image is not self._shown[0]):
            self._join(context.own_image, seen)
        pictures = self._pictures
        if pictures:
            tensors: Thumbnails = {"thumbnails": np.stack([each.thumbnail for each in pictures])}
            traits._brought_thumbnails = encode(tensors)
        shown = pictures.index(self._shown[1]) if is_given and self._shown is not None else -1
        traits._brought = {"names": [each.name for each in pictures], "shown": shown}

    def forget(self) -> None:
        """Let go of all pictures."""
        self._pictures, self._coming, self._next, self._shown = [], None, None, None

    def _join(self, image: ImageLike, seen: Image.Image) -> None:
        if self._next is not None and self._next[0] is image:
            picture = self._next[1]
            if picture.file:
                picture.given = b""  # what was read of it need not be kept
        else:
            same = (each for each in self._pictures if each.given is image)
            picture = next(same, None) or _Picture(self._context.subject.image_name, image)
        self._next, self._shown = None, (image, picture)
        if picture not in self._pictures:
            small = seen.resize((_SIDE, _SIDE), Image.Resampling.LANCZOS, reducing_gap=2.0)
            picture.thumbnail = np.asarray(small.convert("RGB"))
            self._pictures.append(picture)
        while len(self._pictures) > _KEPT or sum(len(p.file) for p in self._pictures) > _TOGETHER:
            self._pictures.remove(next(p for p in self._pictures if p is not picture))


def _named(image: Image.Image, name: str) -> Image.Image:
    """With a file's name, by which the session calls it."""
    image.filename = name  # type: ignore[attr-defined]
    return image
