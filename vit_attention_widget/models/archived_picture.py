"""A picture that lies in a file with others, and is read where it lies."""

from __future__ import annotations

import json
import os
from dataclasses import astuple, dataclass, replace

from ..errors import ImageError
from ..support.words import shorten

__all__ = ["ArchivedPicture"]


@dataclass(frozen=True)
class ArchivedPicture:
    """Some bytes of a file: an image file.

    Small to send: another process reads the picture itself.

    Attributes
    ----------
    archive : str
        Path of the file.
    name : str
        What the picture is called there; it is never a path of this machine.
    offset, size : int
        In bytes.
    """

    archive: str
    name: str
    offset: int
    size: int

    def __str__(self) -> str:
        return f"{shorten(self.name)!r} of {shorten(self.archive)!r}"

    def to_text(self) -> str:
        """What :meth:`from_text` makes it of again; no path of a file reads so."""
        return json.dumps(astuple(replace(self, archive=os.path.abspath(self.archive))))

    @classmethod
    def from_text(cls, text: str) -> ArchivedPicture | None:
        """The picture that a text stands for, None where it is anything else, such as a path."""
        try:
            archive, name, offset, size = json.loads(text)
        except (TypeError, ValueError):
            return None
        told = cls(archive, name, offset, size)
        kinds = tuple(type(value) for value in astuple(told))
        return told if kinds == (str, str, int, int) and min(offset, size) >= 0 else None

    def content(self) -> bytes:
        """The bytes.

        Raises
        ------
        ImageError
            If the file cannot be read, or has become shorter.
        """
        try:
            with open(self.archive, "rb") as file:
                file.seek(self.offset)
                content = file.read(self.size)
        except OSError as error:
            raise ImageError(
                f"{self} cannot be read: {error.strerror or error}. Workers on other machines must "
                "see the file by the same path."
            ) from error
        if len(content) != self.size:
            raise ImageError(
                f"{self} cannot be read: the file ends after {len(content)} of its {self.size} "
                f"bytes, {os.path.getsize(self.archive)} in all."
            )
        return content
