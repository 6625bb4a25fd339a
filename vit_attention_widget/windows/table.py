"""Attention received in every block as tables."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from ..results.csv_file import write_csv
from ..results.optional import optional

if TYPE_CHECKING:
    from pandas import DataFrame
    from xarray import Dataset

    from .result import WindowAttention

__all__ = ["to_csv", "to_dataframe", "to_xarray"]

_COLUMNS = ("image", "block", "stage", "head", "row", "col", "received")


def to_dataframe(windows: WindowAttention) -> DataFrame:
    """See :meth:`~.result.WindowAttention.to_dataframe`."""
    return optional("pandas", "to_dataframe()").DataFrame(_columns(windows))


def to_csv(windows: WindowAttention, path: str | Path) -> None:
    """See :meth:`~.result.WindowAttention.to_csv`."""
    columns = _columns(windows)
    lists = [values.tolist() for values in columns.values()]
    write_csv(path, [dict(zip(columns, row, strict=True)) for row in zip(*lists, strict=True)])


def to_xarray(windows: WindowAttention) -> Dataset:
    """See :meth:`~.result.WindowAttention.to_xarray`."""
    xarray = optional("xarray", "to_xarray()")
    variables, coords = {}, dict[str, list[int]]()
    for stage, group in groupby(enumerate(windows.blocks), key=lambda pair: pair[1].stage):
        numbers = [number for number, _ in group]
        values = torch.stack([windows.received(number).cpu() for number in numbers], 1)
        axes = ("image", *(f"{axis}_{stage}" for axis in ("block", "head", "row", "col")))
        variables[f"stage_{stage}"] = (axes, values.float().numpy())
        places = zip(axes, values.shape, strict=True)
        coords |= {axis: list(range(size)) for axis, size in places}
        coords[f"block_{stage}"] = numbers
    about = {"model": windows.model.name}
    dataset: Dataset = xarray.Dataset(variables, coords, attrs=about)
    return dataset


def _columns(windows: WindowAttention) -> dict[str, NDArray[np.generic]]:
    """Columns of one length: a row for each token, head, block and image."""
    parts: dict[str, list[NDArray[np.generic]]] = {name: [] for name in _COLUMNS}
    for number, block in enumerate(windows.blocks):
        values = windows.received(number).float().cpu().numpy()
        image, head, row, col = (index.ravel() for index in np.indices(values.shape))
        same = (np.full(values.size, each) for each in (number, block.stage))
        columns = (image, *same, head, row, col, values.ravel())
        for name, column in zip(_COLUMNS, columns, strict=True):
            parts[name].append(column)
    joined = {name: np.concatenate(columns) for name, columns in parts.items()}
    order = np.lexsort((joined["block"], joined["image"]))  # image by image; stable within
    return {name: column[order] for name, column in joined.items()}
