"""What a run has computed as others read it: a Zarr group over the images."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..results.named_values import as_array
from ..results.zarr_folder import ZarrFolder

__all__ = ["ForReaders"]


class ForReaders:
    """A Zarr group of the chunks of a run; of results without named values there is none.

    Parameters
    ----------
    folder : Path
    chunk : int
        Images of a chunk.
    """

    def __init__(self, folder: Path, chunk: int) -> None:
        self._zarr, self._chunk = ZarrFolder(folder, "image", chunk), chunk

    def show(self, chunk: Callable[[int], Sequence[Any]]) -> None:
        """Write what is not there yet; ``chunk`` gives the parts of one, none beyond the last."""
        while parts := chunk(self._zarr.count // self._chunk):
            count = sum(map(len, parts))
            number, shown = divmod(self._zarr.count, self._chunk)
            if shown >= count or not hasattr(parts[0], "_stored"):
                return
            self._zarr.append(number, _arrays(parts), {"kind": parts[0].kind})


def _arrays(parts: Sequence[Any]) -> dict[str, tuple[tuple[str, ...], NDArray[Any]]]:
    """The named values of some parts, one after another, and what the places on axes are called."""
    every: list[Mapping[str, Any]] = [part._stored() for part in parts]
    arrays: dict[str, tuple[tuple[str, ...], NDArray[Any]]] = {}
    for name, (axes, values) in every[0].items():
        if axes[0] != "image":
            arrays[name] = axes, as_array(values)
        elif all(name in each for each in every):
            arrays[name] = axes, np.concatenate([as_array(each[name].values) for each in every])
    used = {axis for axes, _ in arrays.values() for axis in axes}
    places = parts[0]._coords() if hasattr(parts[0], "_coords") else {}
    for axis, names in places.items():
        if axis in used and axis not in arrays:
            arrays[axis] = (axis,), np.asarray(names)
    return arrays
