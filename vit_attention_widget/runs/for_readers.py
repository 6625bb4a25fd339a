"""What a run has computed as others read it: a Zarr group over the images."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..results.named_values import as_array
from ..results.zarr_folder import ZarrFolder
from .skipped import Skipped

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

    def show(self, chunk: Callable[[int], Sequence[Any]], again: int | None = None) -> None:
        """Write what is not there yet; ``chunk`` gives the parts of one, none beyond the last.

        ``again`` is a chunk that has changed.
        """
        if again is not None and again * self._chunk < self._zarr.count:
            self._show(again, chunk(again), chunk)
        while parts := chunk(self._zarr.count // self._chunk):
            number, shown = divmod(self._zarr.count, self._chunk)
            if shown >= sum(map(len, parts)) or not self._show(number, parts, chunk):
                return

    def _show(
        self, number: int, parts: Sequence[Any], chunk: Callable[[int], Sequence[Any]]
    ) -> bool:
        """Write a chunk; an image that was skipped has NaN, or 0 where there is no NaN."""
        like = _first_computed(parts) or _first_computed(
            [part for other in (0, number - 1, number + 1) for part in chunk(max(0, other))]
        )
        if like is None or not hasattr(like, "_stored"):
            return False
        skipped = self._zarr.attributes.get("skipped", {})
        skipped = {n: why for n, why in skipped.items() if int(n) // self._chunk != number}
        skipped |= {
            str(number * self._chunk + sum(map(len, parts[:place]))): part.reason
            for place, part in enumerate(parts)
            if isinstance(part, Skipped)
        }
        filled = [_empty(like) if isinstance(part, Skipped) else part._stored() for part in parts]
        arrays = _arrays(filled, like._coords() if hasattr(like, "_coords") else {})
        skipped = dict(sorted(skipped.items(), key=lambda item: int(item[0])))
        attributes = {"kind": like.kind, **({"skipped": skipped} if skipped else {})}
        self._zarr.append(number, arrays, attributes)
        return True


def _first_computed(parts: Sequence[Any]) -> Any:
    return next((part for part in parts if not isinstance(part, Skipped)), None)


def _empty(like: Any) -> dict[str, Any]:
    """The named values of one image of which nothing is known."""
    stored: Mapping[str, Any] = like._stored()
    return {
        name: variable._replace(values=_nothing(variable.values[:1]))
        if variable.axes[0] == "image"
        else variable
        for name, variable in stored.items()
    }


def _nothing(values: Tensor) -> Tensor:
    return torch.full_like(values, torch.nan if values.is_floating_point() else 0)


def _arrays(
    every: Sequence[Mapping[str, Any]], places: Mapping[str, Sequence[object]]
) -> dict[str, tuple[tuple[str, ...], NDArray[Any]]]:
    """The named values of some parts, one after another, and what the places on axes are called."""
    arrays: dict[str, tuple[tuple[str, ...], NDArray[Any]]] = {}
    for name, (axes, values) in every[0].items():
        if axes[0] != "image":
            arrays[name] = axes, as_array(values)
        elif all(name in each for each in every):
            arrays[name] = axes, np.concatenate([as_array(each[name].values) for each in every])
    used = {axis for axes, _ in arrays.values() for axis in axes}
    for axis, names in places.items():
        if axis in used and axis not in arrays:
            arrays[axis] = (axis,), np.asarray(names)
    return arrays
