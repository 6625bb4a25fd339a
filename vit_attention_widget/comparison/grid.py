"""Maps of models with other patches, brought to one grid."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import interpolate

__all__ = ["on_finest_grid"]


def on_finest_grid(maps: Sequence[Tensor]) -> Tensor:
    """Maps [row, col] of any sizes as [map, row, col] on the finest grid, bilinearly."""
    rows, cols = (max(grid.shape[axis] for grid in maps) for axis in (0, 1))
    if all(grid.shape == (rows, cols) for grid in maps):
        return torch.stack(list(maps))
    finest = (interpolate(grid[None, None], (rows, cols), mode="bilinear")[0] for grid in maps)
    return torch.cat(list(finest))
