"""A comparison of maps, in the form in which the browser takes it."""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from numpy.typing import NDArray

from ...models.output_kind import OutputKind
from ...protocol.schema.results import Comparison
from ...protocol.schema.tensors import ComparisonMaps, StampMetadata
from ...protocol.tensors import encode
from .compared import Compared, Request

__all__ = ["in_words", "maps_payload", "payload"]

_BYTES = 400_000


def payload(request: Request, compared: Compared, total: int, stamp: int) -> Comparison:
    """All but the maps; ``stamp`` says which maps it belongs to."""
    comparison = compared.comparison
    return {
        "of": request.kind,
        "method": request.method,
        "classes": list(request.classes),
        "asked": "",
        "names": list(compared.names),
        "keys": list(compared.keys),
        "notes": list(compared.notes),
        "files": list(compared.files),
        "correlation": [[_rounded(r) for r in row] for row in comparison.rank_correlation],
        "skipped": dict(comparison.skipped),
        "target": "" if compared.trace is None else compared.trace.target.name,
        "total": total,
        "area": list(comparison.area),
        "version": compared.version,
        "stamp": stamp,
    }


def maps_payload(maps: NDArray[np.float32], stamp: int) -> bytes:
    """``maps`` [item, row, col]: float32; float16 where they are large; smaller if larger still.

    In float16 each map is divided by its ``scale``: neither small nor large values are lost.
    """
    metadata: StampMetadata = {"stamp": stamp}
    if maps.nbytes <= _BYTES:
        tensors: ComparisonMaps = {"maps": maps}
        return encode(tensors, metadata)
    while maps.nbytes > 2 * _BYTES:
        size = math.ceil(maps.shape[1] / 2), math.ceil(maps.shape[2] / 2)
        maps = F.adaptive_avg_pool2d(torch.from_numpy(maps), size).numpy()
    scale = np.abs(maps).max((1, 2))
    shares = maps / np.where(scale > 0, scale, 1)[:, None, None]
    tensors = {"maps": shares.astype(np.float16), "scale": scale}
    return encode(tensors, metadata)


def in_words(said: float, kind: OutputKind) -> str:
    """What a model says of a class: a share as percent, a value as a number."""
    return f"{said:.3g}" if kind == "value" else _percent(said)


def _percent(share: float) -> str:
    """As the browser writes it."""
    if 0 < share < 0.0005:
        return "< 0.1 %"
    return f"{100 * share:.1f} %" if 0 < share < 0.1 else f"{100 * share:.0f} %"


def _rounded(value: float) -> float | None:
    return round(float(value), 4) if math.isfinite(value) else None
