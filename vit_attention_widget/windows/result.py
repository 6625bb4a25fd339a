"""Attention inside the shifted windows of a Swin Transformer, laid out in the image.

What cannot be had of such a model: a class token's view (there is none), a token's view of the
whole image before windows are as large as the grid, and rollout (grids shrink stage by stage). What
can: what each block really computed, window by window.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..errors import ParameterError
from ..models.head_index import index_among
from .block import WindowBlock
from .swin import SwinTransformer

__all__ = ["WindowAttention"]

_CHUNK = 2**24
"""At most so many attention values at a time where a sum over windows is formed (64 MB)."""


@dataclass(frozen=True, eq=False, repr=False)
class WindowAttention:
    """What :func:`window_attention` found. Axis order: [batch, window, head, query, key].

    Attributes
    ----------
    model : SwinTransformer
        The description of the model; ``.model.model`` is the module itself.
    inputs : Tensor
        Model inputs, [batch, 3, height, width].
    logits : Tensor
        What the model returned, [batch, class].
    blocks : tuple of WindowBlock
        All blocks, first to last: stage, grid, window, shift and heads of each.
    """

    model: SwinTransformer
    inputs: Tensor
    logits: Tensor
    blocks: tuple[WindowBlock, ...]

    def __repr__(self) -> str:
        grids = dict.fromkeys(f"{one.rows} x {one.cols}" for one in self.blocks)
        return (
            f"<WindowAttention of {self.model.name}: {len(self.inputs)} image(s), "
            f"{len(self.blocks)} blocks on grids of {', '.join(grids)} tokens>"
        )

    def attention(self, block: int, head: int | None = None) -> Tensor:
        """Raw attention of a block, window by window; rows sum to 1.

        Windows come row by row, as the block cut them: after the shift, and with padding where the
        grid is no multiple of the window. ``blocks[block].layout`` says which token is where.
        Pairs that the shift's mask keeps apart have -100 added to their scores, so their attention
        is next to 0. Where a grid is no multiple of the window, timm's mask is drawn on the padded
        grid and lets some tokens see across the border of the image: this shows what was computed.

        Parameters
        ----------
        block : int
            0-based, counted over all stages.
        head : int, optional
            An int drops the head axis.

        Returns
        -------
        Tensor
            [batch, window, head, query, key].

        Raises
        ------
        ParameterError
            If the block or head does not exist.
        """
        found, heads = self._select(block, head)
        attention = found.attention(heads=heads)
        return attention if head is None else attention[:, :, 0]

    def from_patch(self, block: int, row: int, col: int, head: int | None = None) -> Tensor:
        """Attention of the token at ``row``, ``col``, in image space: the shift is undone.

        Outside its window a token sees nothing: the map is 0 there, by construction and not by
        choice of the model; :meth:`window_of` says where. The map sums to 1, or to less where the
        window holds padding, which gets attention too but has no place in the image.

        Parameters
        ----------
        block : int
        row, col : int
            In the grid of the block's own stage (``blocks[block].rows`` x ``.cols``).
        head : int, optional
            An int drops the head axis.

        Returns
        -------
        Tensor
            [batch, head, row, col].

        Raises
        ------
        ParameterError, TokenLayoutError
            If the block, the head or the place does not exist.
        """
        found, heads = self._select(block, head)
        window, token = found.layout.place(row, col)
        one = found.attention(slice(window, window + 1), heads, slice(token, token + 1))
        values = one[:, 0, :, 0]
        positions = found.layout.positions.to(values.device)
        inside = (found.layout.windows == window).to(values.device)
        grid = torch.where(inside, values[..., positions], 0)
        return grid if head is None else grid[:, 0]

    def window_of(self, block: int, row: int, col: int) -> Tensor:
        """True for the tokens in the window of the token at ``row``, ``col``: [row, col].

        Raises
        ------
        ParameterError, TokenLayoutError
            If the block or the place does not exist.
        """
        layout = self.block(block).layout
        return layout.windows == layout.place(row, col)[0]

    def received(self, block: int, head: int | None = None) -> Tensor:
        """Mean attention that each token gets from the tokens of its window, itself included.

        If all looked evenly, it would be 1 / (tokens of a window). Padding does not count as a
        token that looks.

        Parameters
        ----------
        block : int
        head : int, optional
            An int drops the head axis.

        Returns
        -------
        Tensor
            [batch, head, row, col].

        Raises
        ------
        ParameterError
            If the block or head does not exist.
        """
        found, heads = self._select(block, head)
        looks = found.layout.is_token.to(found.q.device)
        size = max(1, _CHUNK // (found.q.shape[0] * found.q.shape[2] * looks.shape[1] ** 2))
        parts = []
        for start in range(0, len(looks), size):
            some = slice(start, start + size)
            attention = found.attention(some, heads)
            weights = looks[some].to(attention)
            weights = weights / weights.sum(-1, keepdim=True)
            parts.append((attention * weights[:, None, :, None]).sum(-2))
        grid = found.layout.to_grid(torch.cat(parts, 1).transpose(1, 2))
        return grid if head is None else grid[:, 0]

    def plot(
        self,
        place: tuple[float, float] | None = None,
        blocks: int | Sequence[int] | None = None,
        head: int | None = None,
        *,
        image: int = 0,
    ) -> Any:
        """The picture, and over it what the patch at ``place`` looks at in each block.

        What is outside the window, or gets nothing, stays clear. Needs matplotlib.

        Parameters
        ----------
        place : tuple of float, optional
            (y, x) in pixels of the model's input; the middle by default.
        blocks : int or sequence of int, optional
            All by default.
        head : int, optional
            The mean of the heads by default.
        image : int
            Which of the batch.

        Returns
        -------
        matplotlib.figure.Figure

        Raises
        ------
        ParameterError
            If the block, head or image does not exist, or the place is outside the picture.
        """
        from .plot import plot_windows

        if blocks is None:
            blocks = range(len(self.blocks))
        elif not isinstance(blocks, Sequence):
            blocks = [blocks]
        return plot_windows(self, place, [self._block_index(b) for b in blocks], head, image)

    def block(self, block: int) -> WindowBlock:
        """One of ``blocks``, or :class:`ParameterError` if there is none of that number."""
        return self.blocks[self._block_index(block)]

    def _block_index(self, block: Any) -> int:
        count = len(self.blocks)
        index = index_among(block, count, from_end=True)
        if index is None:
            raise ParameterError(
                f"There is no block {block!r}: {self.model.name} has {count}, 0 to {count - 1}, "
                f"or -{count} to -1 from the end."
            )
        return index

    def _select(self, block: Any, head: Any) -> tuple[WindowBlock, slice]:
        found = self.block(block)
        if head is None:
            return found, slice(None)
        index = index_among(head, found.num_heads)
        if index is None:
            raise ParameterError(
                f"There is no head {head!r} in block {block}: it has {found.num_heads}, "
                f"0 to {found.num_heads - 1}."
            )
        return found, slice(index, index + 1)
