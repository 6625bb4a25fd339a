"""Where each token of a window lies in the grid of its stage, shifted windows and padding too."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from ..errors import TokenLayoutError

__all__ = ["WindowLayout"]


@dataclass(frozen=True)
class WindowLayout:
    """How a grid of tokens is cut into windows: rolled by the shift, padded, cut row by row.

    The order is that of timm's Swin: the grid is rolled up and left by ``shift``, then padded at
    the bottom and the right to whole windows. So in shifted blocks the windows at the end hold
    tokens from both sides of the image, which the model's mask keeps apart.

    Parameters
    ----------
    rows, cols : int
        The grid of the stage, in tokens.
    window : tuple of int
        Height and width of a window, in tokens.
    shift : tuple of int
        Rows and columns by which the grid is rolled; (0, 0) in every other block.
    """

    rows: int
    cols: int
    window: tuple[int, int]
    shift: tuple[int, int]

    @property
    def window_rows(self) -> int:
        """Windows from top to bottom."""
        return -(-self.rows // self.window[0])

    @property
    def window_cols(self) -> int:
        """Windows from left to right."""
        return -(-self.cols // self.window[1])

    @property
    def num_windows(self) -> int:
        """Windows of one image."""
        return self.window_rows * self.window_cols

    @property
    def window_tokens(self) -> int:
        """Tokens of one window, padding included."""
        return self.window[0] * self.window[1]

    @cached_property
    def windows(self) -> Tensor:
        """Window that each token of the grid is in, [row, col]."""
        row, col = self._rolled
        return row // self.window[0] * self.window_cols + col // self.window[1]

    @cached_property
    def positions(self) -> Tensor:
        """Index of each token of the grid in its window, [row, col]."""
        row, col = self._rolled
        return row % self.window[0] * self.window[1] + col % self.window[1]

    @cached_property
    def is_token(self) -> Tensor:
        """False where a window holds padding, [window, token]."""
        is_token = torch.zeros(self.num_windows, self.window_tokens, dtype=torch.bool)
        is_token[self.windows, self.positions] = True
        return is_token

    def place(self, row: int, col: int) -> tuple[int, int]:
        """Window of the token at ``row``, ``col``, and its index in there.

        Raises
        ------
        TokenLayoutError
            If the grid has no such place.
        """
        whole = all(isinstance(i, int) or hasattr(i, "__index__") for i in (row, col))
        if not whole or not (0 <= row < self.rows and 0 <= col < self.cols):
            raise TokenLayoutError(
                f"There is no token ({row!r}, {col!r}) in this block: its grid has rows 0 to "
                f"{self.rows - 1} and columns 0 to {self.cols - 1}."
            )
        return int(self.windows[row, col]), int(self.positions[row, col])

    def to_grid(self, values: Tensor) -> Tensor:
        """Lay out [..., window, token] as [..., row, col]; values of padding are dropped."""
        device = values.device
        return values[..., self.windows.to(device), self.positions.to(device)]

    @property
    def _rolled(self) -> tuple[Tensor, Tensor]:
        """Row and column of each token after the roll, as [row, 1] and [1, col]."""
        row = (torch.arange(self.rows) - self.shift[0]) % self.rows
        col = (torch.arange(self.cols) - self.shift[1]) % self.cols
        return row[:, None], col[None]
