"""What became of a page: where it is, how large, and what is not in it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

__all__ = ["ExportedPage"]


@dataclass(frozen=True)
class ExportedPage:
    """A page that was written.

    Attributes
    ----------
    path : Path
        The file.
    size : int
        Of the file, in bytes.
    dropped : tuple of str
        What there was no room for within ``max_megabytes``, in words.
    """

    path: Path
    size: int
    dropped: tuple[str, ...] = ()

    @property
    def megabytes(self) -> float:
        """Size of the file, in units of 1,000,000 bytes."""
        return self.size / 1e6

    def __fspath__(self) -> str:
        return os.fspath(self.path)

    def __repr__(self) -> str:
        without = f", without {'; '.join(self.dropped)}" if self.dropped else ""
        return f"<{self.path}, {self.megabytes:.2f} MB{without}>"
