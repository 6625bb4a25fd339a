"""One block of windowed attention: where its windows lie, and its attention on demand."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from .layout import WindowLayout

__all__ = ["WindowBlock"]


@dataclass(frozen=True, eq=False)
class WindowBlock:
    """One block: where its windows lie, and what its attention was made of.

    Attributes
    ----------
    stage, index : int
        Its stage, and its place among the blocks of that stage; both 0-based.
    rows, cols : int
        The grid of tokens of its stage.
    window, shift : tuple of int
        Height and width of a window, and the roll of the grid before it is cut, in tokens.
    patch : tuple of int
        Height and width of what one token stands for, in pixels of the model's input.
    num_heads : int
    layout : WindowLayout
        Which token is where.
    """

    stage: int
    index: int
    layout: WindowLayout
    patch: tuple[int, int]
    num_heads: int
    q: Tensor = field(repr=False)  # [batch, window, head, token, head_dim], scaled
    k: Tensor = field(repr=False)
    bias: Tensor | None = field(repr=False)  # broadcasts to [batch, window, head, query, key]

    @property
    def rows(self) -> int:
        """Tokens from top to bottom."""
        return self.layout.rows

    @property
    def cols(self) -> int:
        """Tokens from left to right."""
        return self.layout.cols

    @property
    def window(self) -> tuple[int, int]:
        """Height and width of a window, in tokens."""
        return self.layout.window

    @property
    def shift(self) -> tuple[int, int]:
        """Rows and columns by which the grid is rolled up and left before it is cut."""
        return self.layout.shift

    def attention(
        self, windows: slice = slice(None), heads: slice = slice(None), queries: slice = slice(None)
    ) -> Tensor:
        """Attention after the softmax, [batch, window, head, query, key]."""
        q, k = self.q[:, windows, heads, queries], self.k[:, windows, heads]
        scores = q @ k.transpose(-2, -1)
        if self.bias is not None:
            bias = self.bias
            bias = bias[:, windows] if bias.shape[1] > 1 else bias
            bias = bias[:, :, heads] if bias.shape[2] > 1 else bias
            scores = scores + bias[..., queries, :]
        half = scores.dtype in (torch.float16, torch.bfloat16)
        return (scores.float() if half else scores).softmax(-1)
