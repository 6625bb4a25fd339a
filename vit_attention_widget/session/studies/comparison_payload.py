"""A comparison of maps, in the form in which the browser takes it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from numpy.typing import NDArray

from ...comparison.result import Comparison
from ...protocol.tensors import encode
from ...tracing.trace import Trace

__all__ = ["Asked", "Found", "as_dict", "maps_bytes", "percent"]

_BYTES = 400_000


@dataclass(frozen=True, eq=False)
class Asked:
    """A request to compare; the latest one counts. Of a set, ``of_set`` says of what exactly."""

    of: str
    method: str
    classes: tuple[int, ...]
    of_set: tuple[Any, ...] | None = None


@dataclass(frozen=True, eq=False)
class Found:
    """What was compared, what a click on each map selects, and what stands below it.

    ``shown`` is the trace that it is of, while that is shown; of a set there is none, and
    ``of_set`` stands for it.
    """

    comparison: Comparison
    names: Sequence[str]
    keys: Sequence[str | int]
    notes: Sequence[str]
    version: int
    shown: Trace | None = None
    of_set: tuple[Any, ...] | None = None
    files: Sequence[str] = ()


def as_dict(asked: Asked, found: Found, total: int, stamp: int) -> dict[str, Any]:
    """All but the maps; ``stamp`` says which maps it belongs to."""
    compared = found.comparison
    return {
        "of": asked.of,
        "method": asked.method,
        "classes": list(asked.classes),
        "asked": "",
        "names": list(found.names),
        "keys": list(found.keys),
        "notes": list(found.notes),
        "files": list(found.files),
        "correlation": [[_rounded(r) for r in row] for row in compared.rank_correlation],
        "left_out": dict(compared.left_out),
        "target": "" if found.shown is None else found.shown.target.name,
        "total": total,
        "version": found.version,
        "stamp": stamp,
    }


def maps_bytes(maps: NDArray[np.float32], stamp: int) -> bytes:
    """``maps`` [item, row, col]: float32; float16 where they are large; smaller if larger still.

    In float16 each map is divided by its ``scale``: neither small nor large values are lost.
    """
    metadata = {"stamp": stamp}
    if maps.nbytes <= _BYTES:
        return encode({"maps": maps}, metadata)
    while maps.nbytes > 2 * _BYTES:
        size = math.ceil(maps.shape[1] / 2), math.ceil(maps.shape[2] / 2)
        maps = F.adaptive_avg_pool2d(torch.from_numpy(maps), size).numpy()
    scale = np.abs(maps).max((1, 2))
    shares = maps / np.where(scale > 0, scale, 1)[:, None, None]
    return encode({"maps": shares.astype(np.float16), "scale": scale}, metadata)


def percent(share: float) -> str:
    """As the browser writes it."""
    if 0 < share < 0.0005:
        return "< 0.1 %"
    return f"{100 * share:.1f} %" if 0 < share < 0.1 else f"{100 * share:.0f} %"


def _rounded(value: float) -> float | None:
    return round(float(value), 4) if math.isfinite(value) else None
