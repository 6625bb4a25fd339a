"""Tensors as they travel between kernel and browser: safetensors bytes."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

__all__ = ["encode", "metadata_of", "quantize"]


def encode(tensors: Mapping[str, object], metadata: Mapping[str, object] | None = None) -> bytes:
    """Arrays, with metadata written as text, in one safetensors buffer.

    What they are is said by the types in ``schema.tensors``, with which they are annotated where
    they are made.
    """
    contiguous = {name: np.ascontiguousarray(values) for name, values in tensors.items()}
    return save(contiguous, {name: str(value) for name, value in (metadata or {}).items()})


def metadata_of(buffer: bytes) -> dict[str, str]:
    """The metadata that :func:`encode` wrote, as text."""
    (size,) = struct.unpack_from("<Q", buffer)
    metadata: dict[str, str] = json.loads(buffer[8 : 8 + size]).get("__metadata__", {})
    return metadata


def quantize(rows: NDArray[np.floating]) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Rows of values >= 0 as bytes: ``rows`` is about ``bytes / 255 * scale[..., None]``.

    Each row keeps its own scale (its largest value), so the error is at most a 510th of that.
    """
    scale = rows.max(-1).astype(np.float32)
    factor = np.divide(255, scale, out=np.zeros_like(scale), where=scale > 0)
    return np.rint(rows * factor[..., None]).astype(np.uint8), scale
