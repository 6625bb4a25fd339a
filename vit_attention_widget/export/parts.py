"""Values with bytes in them as text for a page: JSON, the bytes, gzip, base64."""

from __future__ import annotations

import base64
import gzip
import json
import math
import struct
from collections.abc import Mapping

__all__ = ["packed", "part"]


def part(value: object) -> str:
    """A value of JSON's kinds, and of bytes, as one text that ``js/src/page/encoding.ts`` reads.

    Four bytes say how long the JSON is, which comes next, and then the bytes, the same ones once:
    ``{"$bytes": [from, to]}`` stands for them. What is no number becomes None.
    """
    blobs: dict[bytes, int] = {}
    size = 0

    def plain(value: object) -> object:
        nonlocal size
        if isinstance(value, bytes):
            if value not in blobs:
                blobs[value] = size
                size += len(value)
            return {"$bytes": [blobs[value], blobs[value] + len(value)]}
        if isinstance(value, Mapping):
            return {str(name): plain(each) for name, each in value.items()}
        if isinstance(value, list | tuple):
            return [plain(each) for each in value]
        if isinstance(value, float) and not math.isfinite(value):
            return None
        return value

    text = json.dumps(plain(value), allow_nan=False, separators=(",", ":")).encode()
    return packed(struct.pack("<I", len(text)) + text + b"".join(blobs))


def packed(plain: bytes) -> str:
    """Bytes as text in which nothing has a meaning in HTML."""
    return base64.b64encode(gzip.compress(plain, compresslevel=9, mtime=0)).decode("ascii")
