"""Arrays of a folder that :mod:`.zarr_folder` writes, read in parts, also while it grows."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ParameterError

__all__ = ["ZarrReader"]


class ZarrReader:
    """A Zarr group whose arrays grow along one axis, in chunks of plain values.

    Parameters
    ----------
    folder : Path
    axis : str
        The one that grows.

    Attributes
    ----------
    count : int
        How many places there are, as of the last :meth:`look`.
    attributes : dict
        What is said of all values.
    """

    def __init__(self, folder: Path, axis: str) -> None:
        self._folder, self._axis = folder, axis
        self._arrays: dict[str, dict[str, Any]] = {}
        self._axes: dict[str, tuple[str, ...]] = {}
        self._seen: object = None
        self.count, self.attributes = 0, dict[str, Any]()

    def look(self) -> bool:
        """Look what there is by now; whether that is anything else than before.

        Raises
        ------
        ParameterError
            If the metadata cannot be read.
        """
        file = self._folder / ".zmetadata"
        try:
            told = file.stat()
            seen = told.st_mtime_ns, told.st_size, told.st_ino
            if seen == self._seen:
                return False
            metadata = json.loads(file.read_text("utf-8"))["metadata"]
            attributes = dict(metadata[".zattrs"])
            count = int(attributes.get(f"number of {self._axis}s", 0))
            axes = {
                name.removesuffix("/.zattrs"): tuple(value["_ARRAY_DIMENSIONS"])
                for name, value in metadata.items()
                if name.endswith("/.zattrs")
            }
            arrays = {name: dict(metadata[f"{name}/.zarray"]) for name in axes}
            if count < 0 or not all(map(_is_plain, arrays.values())):
                raise ValueError("it tells of arrays that cannot be")
        except FileNotFoundError:  # its first chunk is not full yet
            changed, self._seen, self.count = self._seen is not None, None, 0
            self._arrays, self._axes, self.attributes = {}, {}, {}
            return changed
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise ParameterError(f"{file} is damaged: {error}.") from error
        self._seen, self.count, self.attributes = seen, count, attributes
        self._axes, self._arrays = axes, arrays
        return True

    def over(self, *axes: str) -> list[str]:
        """Names of the arrays over exactly these axes."""
        return [name for name, of_array in self._axes.items() if of_array == axes]

    def rows(self, name: str, first: int, last: int) -> NDArray[Any]:
        """Places ``first`` up to ``last`` of an array, which are of one chunk; reads them alone.

        Raises
        ------
        ParameterError
            If their file is damaged or gone; the message names it.
        """
        array = self._arrays[name]
        shape, dtype = [int(size) for size in array["chunks"]], np.dtype(array["dtype"])
        number, offset = divmod(first, shape[0])
        file = self.file(name, number)
        row = math.prod(shape[1:])
        try:
            if file.stat().st_size != shape[0] * row * dtype.itemsize:
                raise ValueError(f"it has {file.stat().st_size} bytes")
            start, wanted = offset * row * dtype.itemsize, (last - first) * row
            values = np.fromfile(file, dtype, wanted, offset=start)
            return values.reshape(last - first, *shape[1:])
        except (OSError, ValueError) as error:
            raise ParameterError(
                f"{file} is damaged or gone ({error}): run the same call with store= again, which "
                "writes it anew."
            ) from error

    def file(self, name: str, number: int) -> Path:
        """Where a chunk of an array lies."""
        place = (number, *(0 for _ in self._axes[name][1:]))
        return self._folder / name / ".".join(map(str, place))

    def chunk_size(self, name: str) -> int:
        """How many places of an array lie in one file."""
        return int(self._arrays[name]["chunks"][0])


def _is_plain(array: dict[str, Any]) -> bool:
    """Whether these are chunks of numbers or texts that can be read."""
    chunks = [int(size) for size in array["chunks"]]
    return not np.dtype(array["dtype"]).hasobject and chunks[0] > 0 and min(chunks) >= 0
