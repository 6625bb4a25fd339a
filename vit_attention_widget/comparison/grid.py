"""Maps of models with other patches, brought to one grid."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ..models.map_area import WHOLE, Area, lay_over

__all__ = ["are_alike", "on_finest_grid"]


def are_alike(maps: Sequence[Tensor], areas: Sequence[Area]) -> bool:
    """Whether maps are on one grid that lies at one place of the picture."""
    return len({(grid.shape, area) for grid, area in zip(maps, areas, strict=True)}) == 1


def on_finest_grid(maps: Sequence[Tensor], areas: Sequence[Area] | None = None) -> Tensor:
    """Maps [row, col] of any sizes as [map, row, col] on the finest grid, bilinearly.

    ``areas`` say where each lies on the picture: all of it by default. Where maps are not alike,
    the grid is one of the whole picture.
    """
    areas = [WHOLE] * len(maps) if areas is None else areas
    if are_alike(maps, areas):
        return torch.stack(list(maps))
    rows, cols = (max(grid.shape[axis] for grid in maps) for axis in (0, 1))
    pairs = zip(maps, areas, strict=True)
    return torch.stack([lay_over(grid, (rows, cols), area) for grid, area in pairs])
