"""Attention inside the shifted windows of a Swin Transformer, laid out in the image.

Such a model has no class token to look from, no token sees the whole image before the windows are
as large as the grid, and rollout is not defined, because grids shrink from stage to stage. What
each block computed, window by window, is here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, SupportsIndex

import torch
from torch import Tensor

from ..errors import ParameterError
from ..models.head_index import index_among
from ..results.heat_map import heat_map
from ..results.html import block as html_block
from ..support.deprecation import reordered_arguments
from . import file, table
from .block import WindowBlock
from .swin import SwinTransformer

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from pandas import DataFrame
    from xarray import Dataset

__all__ = ["WindowAttention"]

_CHUNK = 2**24
"""At most this many attention values are formed at a time (64 MB in float32)."""


def _has_place(args: Sequence[object]) -> bool:
    """Whether the first argument is a place, as it used to be."""
    return isinstance(args[0], tuple | list)


@dataclass(frozen=True, eq=False, repr=False)
class WindowAttention:
    """What :func:`window_attention` recorded. Axis order: [batch, window, head, query, key].

    Attributes
    ----------
    model : SwinTransformer or SavedSwin
        The description of the model; ``.model.model`` is the module itself. Of a result that was
        loaded from a file only the name and the normalization of the input are known.
    inputs : Tensor
        Model inputs, [batch, 3, height, width].
    logits : Tensor
        What the model returned, [batch, class].
    blocks : tuple of WindowBlock
        All blocks, first to last: stage, grid, window, shift and heads of each.
    """

    model: SwinTransformer | file.SavedSwin
    inputs: Tensor
    logits: Tensor
    blocks: tuple[WindowBlock, ...]

    def __repr__(self) -> str:
        grids = dict.fromkeys(f"{block.rows} x {block.cols}" for block in self.blocks)
        return (
            f"<WindowAttention of {self.model.name}: {len(self.inputs)} image(s), "
            f"{len(self.blocks)} blocks on grids of {', '.join(grids)} tokens>"
        )

    def attention(self, block: SupportsIndex, head: SupportsIndex | None = None) -> Tensor:
        """Raw attention of a block, window by window; rows sum to 1.

        Windows come row by row, as the block cut them: after the shift, and with padding where the
        grid is not a multiple of the window. ``blocks[block].layout`` says where each token lies.
        Pairs that the shift's mask keeps apart have -100 added to their scores, so their attention
        is next to 0. Where the grid is not a multiple of the window, timm draws the mask on the
        padded grid, which lets some tokens see across the border of the image: this shows what was
        computed.

        Parameters
        ----------
        block : int
            0-based, counted over all stages; -1 is the last.
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
        chosen, heads = self._select(block, head)
        attention = chosen.attention(heads=heads)
        return attention if head is None else attention[:, :, 0]

    def from_patch(
        self, block: SupportsIndex, row: int, col: int, head: SupportsIndex | None = None
    ) -> Tensor:
        """Attention of the token at ``row``, ``col``, in image space: the shift is undone.

        A token sees nothing outside its window (:meth:`window_of`): the map is 0 there because of
        how the model is built, not because of what it learned. The map sums to 1, or to less where
        the window holds padding, which also receives attention but has no place in the image.

        Parameters
        ----------
        block : int
            -1 is the last.
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
        chosen, heads = self._select(block, head)
        window, token = chosen.layout.place(row, col)
        attention = chosen.attention(slice(window, window + 1), heads, slice(token, token + 1))
        weights = attention[:, 0, :, 0]
        positions = chosen.layout.positions.to(weights.device)
        inside = (chosen.layout.windows == window).to(weights.device)
        grid = torch.where(inside, weights[..., positions], 0)
        return grid if head is None else grid[:, 0]

    def window_of(self, block: SupportsIndex, row: int, col: int) -> Tensor:
        """True for the tokens in the window of the token at ``row``, ``col``: [row, col].

        Raises
        ------
        ParameterError, TokenLayoutError
            If the block or the place does not exist.
        """
        layout = self.block(block).layout
        return layout.windows == layout.place(row, col)[0]

    def received(self, block: SupportsIndex, head: SupportsIndex | None = None) -> Tensor:
        """Mean attention that each token receives from the tokens of its window, itself included.

        With uniform attention it is 1 / (tokens of a window). Padding does not count among the
        tokens that attend.

        Parameters
        ----------
        block : int
            -1 is the last.
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
        chosen, heads = self._select(block, head)
        is_token = chosen.layout.is_token.to(chosen.q.device)
        batch, _, num_heads = chosen.q.shape[:3]
        size = max(1, _CHUNK // (batch * num_heads * is_token.shape[1] ** 2))
        parts = []
        for start in range(0, len(is_token), size):
            windows = slice(start, start + size)
            attention = chosen.attention(windows, heads)
            weights = is_token[windows].to(attention)
            weights = weights / weights.sum(-1, keepdim=True)
            parts.append((attention * weights[:, None, :, None]).sum(-2))
        grid = chosen.layout.to_grid(torch.cat(parts, 1).transpose(1, 2))
        return grid if head is None else grid[:, 0]

    @reordered_arguments("self", "place", "blocks", "head", moved=_has_place)
    def plot(
        self,
        ax: Axes | None = None,
        *,
        place: tuple[float, float] | None = None,
        blocks: SupportsIndex | Sequence[SupportsIndex] | None = None,
        head: SupportsIndex | None = None,
        image: int = 0,
    ) -> Axes:
        """Draw the picture, and over it what the patch at ``place`` attends to in each block.

        What lies outside the window or receives nothing stays clear. Needs matplotlib.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Draw a single block into these axes.
        place : tuple of float, optional
            (y, x) in pixels of the model's input; the middle by default.
        blocks : int or sequence of int, optional
            -1 is the last. By default all blocks, and the last one if ``ax`` is given.
        head : int, optional
            The mean of the heads by default.
        image : int
            Which of the batch.

        Returns
        -------
        matplotlib.axes.Axes
            Those of the last block that was drawn; ``.figure`` is the whole picture.

        Raises
        ------
        ParameterError
            If the block, head or image does not exist, if the place is outside the picture, if
            several blocks are to be drawn into ``ax``, or if matplotlib is not installed.
        """
        from .plot import plot_windows

        if blocks is None:
            numbers: Sequence[SupportsIndex] = range(len(self.blocks)) if ax is None else [-1]
        else:
            numbers = blocks if isinstance(blocks, Sequence) else [blocks]
        indices = [self._block_index(number) for number in numbers]
        return plot_windows(self, indices, place, head, image, ax)

    # Tables and files -----------------------------------------------------------------------------

    def to_dataframe(self) -> DataFrame:
        """:meth:`received` as a pandas table: image, block, stage, head, row, col, received.

        Raises
        ------
        ParameterError
            If pandas is not installed.
        """
        return table.to_dataframe(self)

    def to_xarray(self) -> Dataset:
        """:meth:`received` as an xarray data set, with a variable for each stage.

        ``stage_0`` has the axes image, block_0 (numbers as in :attr:`blocks`), head_0, row_0 and
        col_0: the blocks of a stage share heads and grid.

        Raises
        ------
        ParameterError
            If xarray is not installed.
        """
        return table.to_xarray(self)

    def to_csv(self, path: str | Path) -> None:
        """Write the table of :meth:`to_dataframe`; pandas is not needed.

        Raises
        ------
        ParameterError
            If the file cannot be written.
        """
        table.to_csv(self, path)

    def save(self, path: str | Path) -> None:
        """Write a safetensors file that :meth:`load` reads: everything but the model's weights.

        Raises
        ------
        ParameterError
            If the file cannot be written.
        """
        file.save(self, path)

    @classmethod
    def load(cls, path: str | Path) -> WindowAttention:
        """Read what :meth:`save` wrote; tensors are on the CPU.

        Raises
        ------
        ParameterError
            If the file does not exist, is damaged, or holds something else.
        """
        return cls(*file.load(path))

    def _repr_html_(self) -> str:
        """Attention received in the last block of each stage, for the first image."""
        last = {block.stage: number for number, block in enumerate(self.blocks)}
        maps = (
            heat_map(
                self.received(number)[0].mean(0),
                title=f"block {number} (stage {stage})",
                caption="attention received, mean of the heads",
            )
            for stage, number in last.items()
        )
        return html_block(repr(self)[1:-1], *maps)

    # Selecting ------------------------------------------------------------------------------------

    def block(self, block: SupportsIndex) -> WindowBlock:
        """One of ``blocks``; -1 is the last.

        Raises
        ------
        ParameterError
            If there is no such block.
        """
        return self.blocks[self._block_index(block)]

    def _block_index(self, block: SupportsIndex) -> int:
        count = len(self.blocks)
        index = index_among(block, count, from_end=True)
        if index is None:
            raise ParameterError(
                f"There is no block {block!r}: {self.model.name} has {count}, 0 to {count - 1}, "
                f"or -{count} to -1 from the end."
            )
        return index

    def _select(
        self, block: SupportsIndex, head: SupportsIndex | None
    ) -> tuple[WindowBlock, slice]:
        number = self._block_index(block)
        chosen = self.blocks[number]
        if head is None:
            return chosen, slice(None)
        index = index_among(head, chosen.num_heads)
        if index is None:
            raise ParameterError(
                f"There is no head {head!r} in block {number}: it has {chosen.num_heads}, "
                f"0 to {chosen.num_heads - 1}."
            )
        return chosen, slice(index, index + 1)
