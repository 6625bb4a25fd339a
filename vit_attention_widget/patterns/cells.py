"""Patches in cells of a coarser grid, and patches around a patch."""

from __future__ import annotations

import torch
from torch import Tensor

from ..models.token_layout import TokenLayout

__all__ = ["Neighborhood", "cell_shares"]


def cell_shares(tokens: TokenLayout, grid: int) -> Tensor:
    """Share of each patch that lies in each cell, [patch, cell]; rows sum to 1."""
    row, col = _overlap(tokens.rows, grid), _overlap(tokens.cols, grid)
    return torch.einsum("rm,cn->rcmn", row, col).flatten(2).flatten(0, 1)


def _overlap(patches: int, cells: int) -> Tensor:
    """Share of each patch of a side that lies in each cell of the same side, [patch, cell]."""
    edges = torch.arange(patches + 1, dtype=torch.float64) / patches
    ends = torch.arange(cells + 1, dtype=torch.float64) / cells
    low = torch.maximum(edges[:-1, None], ends[:-1])
    high = torch.minimum(edges[1:, None], ends[1:])
    return (high - low).clamp_min(0) * patches


class Neighborhood:
    """Where each patch lies on the grid, and which patches are around it.

    Attributes
    ----------
    row, col : Tensor
        [patch].
    around : Tensor
        [patch, 9], the 3 x 3 patches around each as places in a grid padded by one on all sides.
    count : Tensor
        [patch], number of neighbors: 8, and fewer at the border.
    """

    def __init__(self, tokens: TokenLayout, device: torch.device) -> None:
        rows, cols = tokens.rows, tokens.cols
        self.row = torch.arange(rows, device=device).repeat_interleave(cols)
        self.col = torch.arange(cols, device=device).repeat(rows)
        step = torch.arange(3, device=device)
        down, right = step.repeat_interleave(3), step.repeat(3)
        self.around = (self.row[:, None] + down) * (cols + 2) + self.col[:, None] + right
        tall = 1 + (self.row > 0).int() + (self.row < rows - 1).int()
        wide = 1 + (self.col > 0).int() + (self.col < cols - 1).int()
        self.count = tall * wide - 1
