"""What the files of a store say besides numbers: pictures, digests, and of which run they are."""

from __future__ import annotations

import json
from itertools import chain
from pathlib import Path
from typing import Any

from safetensors import safe_open

from ..results.storage import JsonObject

__all__ = ["digests_of_chunk", "files_of_chunk", "manifest_in_files"]


def files_of_chunk(folder: Path, number: int) -> list[str]:
    """Of the images of a chunk the files that they were read from, "" where one has none.

    Empty where that is not known. Their numbers are not read.
    """
    return _of_images(folder, number, "files")


def digests_of_chunk(folder: Path, number: int) -> list[str]:
    """The same of the images' digests."""
    return _of_images(folder, number, "digests")


def manifest_in_files(folder: Path) -> JsonObject | None:
    """What the files of a store say of their run; empty if they do not, None if there are none."""
    files = (sorted((folder / name).glob("*.safetensors")) for name in ("chunks", "parts"))
    headers = (said for file in chain.from_iterable(files) if (said := _said_in(file)))
    first = next(headers, None)
    return None if first is None else dict(first.get("run") or {})


def _of_images(folder: Path, number: int, what: str) -> list[str]:
    said = _said_in(folder / "chunks" / f"{number:06d}.safetensors").get(what, [])
    return [str(each) for each in said] if isinstance(said, list) else []


def _said_in(file: Path) -> dict[str, Any]:
    """The header of a file, empty of one that cannot be read."""
    try:
        with safe_open(file, "np") as opened:
            header = opened.metadata() or {}
        return dict(json.loads(next(text for name, text in header.items() if "parts" in name)))
    except Exception:  # a damaged file makes a parser raise anything
        return {}
