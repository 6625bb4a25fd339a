"""Named arrays in a folder that grows along one axis, as Zarr (version 2), which xarray reads.

Chunks are plain values, so NumPy alone writes them. What readers see is replaced in one go: the
metadata of all arrays together (``.zmetadata``), after the values that they tell of.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .files import replaced

__all__ = ["ZarrFolder"]

Named = Mapping[str, tuple[tuple[str, ...], NDArray[Any]]]
"""Arrays with the names of their axes."""


class ZarrFolder:
    """A Zarr group; arrays whose first axis is the growing one have a chunk for each so many.

    Parameters
    ----------
    folder : Path
    axis : str
        The one that grows.
    chunk : int
        So many places of it are written together.
    """

    def __init__(self, folder: Path, axis: str, chunk: int) -> None:
        self._folder, self._axis, self._chunk = folder, axis, chunk

    @property
    def count(self) -> int:
        """How many places there are."""
        return int(self.attributes.get(f"number of {self._axis}s", 0))

    @property
    def attributes(self) -> dict[str, Any]:
        """What is said of all values."""
        return dict(self._shown().get(".zattrs", {}))

    def append(self, number: int, arrays: Named, attributes: Mapping[str, object]) -> None:
        """Write chunk ``number``, the last by now or one again, with arrays as those before.

        An array that not all chunks have is left out from there on.
        """
        shown = self._shown()
        length = len(next(values for axes, values in arrays.values() if axes[0] == self._axis))
        count = max(number * self._chunk + length, self.count)
        metadata: dict[str, Any] = {}
        for name, (axes, values) in arrays.items():
            grows = axes[0] == self._axis
            if grows and shown and f"{name}/.zarray" not in shown:
                continue
            shape = [count, *values.shape[1:]] if grows else list(values.shape)
            chunks = [self._chunk, *values.shape[1:]] if grows else list(values.shape)
            before = shown.get(f"{name}/.zarray", {})
            if (
                shown
                and grows
                and (before["chunks"], before["dtype"]) != (chunks, values.dtype.str)
            ):
                continue
            place = [number if grows else 0, *(0 for _ in axes[1:])]
            whole = np.zeros(chunks, values.dtype)
            whole[: len(values)] = values
            metadata[f"{name}/.zarray"] = {
                "zarr_format": 2,
                "shape": shape,
                "chunks": chunks,
                "dtype": values.dtype.str,
                "compressor": None,
                "fill_value": "NaN" if values.dtype.kind == "f" else None,
                "order": "C",
                "filters": None,
            }
            metadata[f"{name}/.zattrs"] = {"_ARRAY_DIMENSIONS": list(axes)}
            (self._folder / name).mkdir(exist_ok=True)
            with replaced(self._folder / name / ".".join(map(str, place))) as file:
                whole.tofile(file)
        metadata[".zgroup"] = {"zarr_format": 2}
        metadata[".zattrs"] = {**attributes, f"number of {self._axis}s": count}
        for name, value in metadata.items():
            self._write(name, value)
        self._write(".zmetadata", {"zarr_consolidated_format": 1, "metadata": metadata})

    def _write(self, name: str, value: object) -> None:
        with replaced(self._folder / name) as file:
            file.write_text(json.dumps(value), "utf-8")

    def _shown(self) -> dict[str, Any]:
        """The metadata that readers see; empty of nothing, and of a damaged file."""
        try:
            read = json.loads((self._folder / ".zmetadata").read_text("utf-8"))
            return dict(read["metadata"])
        except (OSError, ValueError, KeyError, TypeError):
            return {}
