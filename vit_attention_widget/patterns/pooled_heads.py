"""Attention of a head as a small vector of fixed size, whatever the model and the image."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..models.token_layout import TokenLayout
from ..tracing.trace import Trace

__all__ = ["CLASS", "FAMILIES", "PATCHES", "Family", "HeadBlocks", "head_blocks"]


@dataclass(frozen=True)
class Family:
    """One of the two parts of attention in which patterns are looked for.

    Attributes
    ----------
    name : str
    grid : int
        Patches are pooled to a grid of ``grid x grid`` cells.
    scores : tuple of str
        What a head can do; see :func:`head_blocks`.
    """

    name: str
    grid: int
    scores: tuple[str, ...]

    @property
    def size(self) -> int:
        """Length of the vector that describes a head."""
        cells = self.grid**2
        return cells**2 if self is PATCHES else 2 * cells + 1


PATCHES = Family(
    "patches",
    7,
    ("self", "neighbours", "row", "column", "uniform", "sink", "class token", "registers"),
)
"""Attention among patches: [query cell, key cell] of 7 x 7 cells, 2,401 numbers."""

CLASS = Family("class", 14, ("itself", "few patches", "all patches", "looked at"))
"""The class token's row and column: what it looks at and who looks at it, 14 x 14 cells each."""

FAMILIES = {family.name: family for family in (PATCHES, CLASS)}


@dataclass(frozen=True)
class HeadBlocks:
    """All heads of some images in one family.

    Attributes
    ----------
    vectors : Tensor
        [head, size], square roots of pooled attention, in [0, 1].
    scores : Tensor
        [head, score], in [0, 1].
    heads : Tensor
        [head, 3]: image, layer and head of each.
    """

    vectors: Tensor
    scores: Tensor
    heads: Tensor

    @property
    def levels(self) -> Tensor:
        """The vectors in 8 bits, 255 for 1: a set of images is many heads."""
        return (self.vectors * 255).round().to(torch.uint8)


def head_blocks(trace: Trace) -> dict[str, HeadBlocks]:
    r"""Attention of every head, pooled to a fixed size, and what each head does.

    Keys are pooled by their sum and queries by their mean, each patch shared between cells in
    proportion to the overlap. The square root makes the squared distance of two vectors that of
    Hellinger, so faint attention counts too.

    The scores of the family ``patches`` say how much a head's attention is like that of a head that
    would do one thing only: the mean over patches i of the Bhattacharyya coefficient
    :math:`\sum_j \sqrt{A_{ij} T_{ij}}` with that head's attention T, in [0, 1]. The templates are
    ``self``, ``neighbours`` (the up to 8 around), ``row`` and ``column`` (of the patch, itself
    included), ``uniform`` (all patches), ``class token`` and ``registers`` (all other prefix
    tokens). ``sink`` is how much all patches look at the same few: of the mean m of the square
    roots of the rows, the part that is not even, times the norm of m (whose square is the mean
    coefficient of all pairs of rows).

    Of the family ``class``: the class token looks at ``itself`` (square root of that attention),
    ``all patches`` (coefficient with even attention), ``few patches`` (the length of what is left
    of its root then), and is ``looked at`` (mean over patches of the root of their attention).

    Parameters
    ----------
    trace : Trace

    Returns
    -------
    dict
        ``{"patches": HeadBlocks, "class": HeadBlocks}``; no ``"class"`` without a class token.

    Notes
    -----
    Attention is formed a few query rows at a time; no matrix of all tokens is held.
    """
    parts: list[_Patches | _ClassToken] = [_Patches(trace)]
    place = _class_token(trace.tokens)
    if place is not None:
        parts.append(_ClassToken(trace, place))
    found: dict[str, list[tuple[Tensor, Tensor]]] = {}
    for layer in range(trace.num_layers):
        for part in parts:
            part.begin(layer)
        for rows, attention in trace.attention_chunks(layer):
            attention = attention.to(trace.probabilities)
            for part in parts:
                part.add(rows, attention)
        for part in parts:
            found.setdefault(part.family.name, []).append(part.finished())
    heads = torch.tensor(
        [
            (image, layer, head)
            for layer, count in enumerate(trace.num_heads)
            for image in range(trace.batch_size)
            for head in range(count)
        ]
    )
    order = heads[:, 0].argsort(stable=True)  # image by image
    return {
        name: HeadBlocks(
            torch.cat([vectors.flatten(0, 1) for vectors, _ in layers])[order],
            torch.cat([scores.flatten(0, 1) for _, scores in layers])[order],
            heads[order],
        )
        for name, layers in found.items()
    }


class _Patches:
    """Sums up a layer's attention among patches, row by row."""

    family = PATCHES

    def __init__(self, trace: Trace) -> None:
        self.trace, self.tokens = trace, trace.tokens
        self.like = trace.probabilities
        self.shares = _shares(self.tokens, self.family.grid).to(self.like)  # [patch, cell]
        self.means = self.shares / self.shares.sum(0)
        self.row, self.col, self.around = _places(self.tokens, self.like.device)
        place = _class_token(self.tokens)
        self.others = [t for t in range(self.tokens.num_prefix) if t != place]
        self.place = place

    def begin(self, layer: int) -> None:
        """Start with a layer."""
        shape = self.trace.batch_size, self.trace.num_heads[layer]
        cells, patches = self.shares.shape[1], self.tokens.num_patches
        self.pooled = self.like.new_zeros(*shape, cells, cells)
        self.alike = self.like.new_zeros(*shape, len(self.family.scores))
        self.root_row = self.like.new_zeros(*shape, patches)

    def add(self, rows: slice, attention: Tensor) -> None:
        """Take a few rows, [batch, head, row, key]."""
        first = self.tokens.num_prefix
        patches = slice(max(rows.start, first) - first, rows.stop - first)
        if patches.stop <= patches.start:
            return
        attention = attention[:, :, max(first - rows.start, 0) :]
        between = attention[..., first:]
        self.pooled += self.means[patches].T @ (between @ self.shares)
        root = between.sqrt()
        self.root_row += root.sum(2)
        grid = root.unflatten(-1, (self.tokens.rows, self.tokens.cols))
        row, col, around = self.row[patches], self.col[patches], self.around[patches]
        near = torch.nn.functional.pad(grid, (1, 1, 1, 1)).flatten(-2)
        near = near.gather(-1, around.expand(*near.shape[:3], -1))
        itself, every = near[..., 4], root.sum(-1)
        count = _neighbours(self.tokens, row, col).to(root)
        beside = (near.sum(-1) - itself) * count.clamp_min(1).rsqrt()
        in_row = grid.sum(-1).gather(-1, row[:, None].expand(*grid.shape[:3], 1))[..., 0]
        in_col = grid.sum(-2).gather(-1, col[:, None].expand(*grid.shape[:3], 1))[..., 0]
        found = [
            itself,
            beside,
            in_row * self.tokens.cols**-0.5,
            in_col * self.tokens.rows**-0.5,
            every * self.tokens.num_patches**-0.5,
            torch.zeros_like(itself),  # the sink is known at the end
            torch.zeros_like(itself) if self.place is None else attention[..., self.place].sqrt(),
            attention[..., self.others].sqrt().sum(-1) * max(1, len(self.others)) ** -0.5,
        ]
        self.alike += torch.stack([one.sum(2) for one in found], -1)

    def finished(self) -> tuple[Tensor, Tensor]:
        """Vectors [batch, head, size] and scores [batch, head, score] of the layer."""
        scores = self.alike / self.tokens.num_patches
        mean = self.root_row / self.tokens.num_patches
        even = mean.sum(-1) * self.tokens.num_patches**-0.5
        squared = mean.square().sum(-1)
        scores[..., 5] = (squared * (squared - even.square()).clamp_min(0)).sqrt()
        return _kept(self.pooled.clamp(0, 1).sqrt().flatten(-2)), _kept(scores.clamp(0, 1))


class _ClassToken:
    """Keeps a layer's attention of and to the class token, row by row."""

    family = CLASS

    def __init__(self, trace: Trace, place: int) -> None:
        self.trace, self.tokens, self.place = trace, trace.tokens, place
        self.like = trace.probabilities
        self.shares = _shares(self.tokens, self.family.grid).to(self.like)

    def begin(self, layer: int) -> None:
        """Start with a layer."""
        shape = self.trace.batch_size, self.trace.num_heads[layer], self.tokens.num_tokens
        self.row, self.column = self.like.new_zeros(shape), self.like.new_zeros(shape)

    def add(self, rows: slice, attention: Tensor) -> None:
        """Take a few rows, [batch, head, row, key]."""
        self.column[:, :, rows] = attention[..., self.place]
        if rows.start <= self.place < rows.stop:
            self.row = attention[:, :, self.place - rows.start]

    def finished(self) -> tuple[Tensor, Tensor]:
        """Vectors [batch, head, size] and scores [batch, head, score] of the layer."""
        first, cells = self.tokens.num_prefix, self.shares.shape[1]
        corner = self.row[..., self.place, None].sqrt()
        row, column = self.row[..., first:], self.column[..., first:]
        means = self.shares / self.shares.sum(0)
        looked_at = (
            column @ means / cells
        ).sqrt()  # squares sum to the mean attention, as in a row
        vector = torch.cat([(row @ self.shares).sqrt(), looked_at, corner], -1)
        even = row.sqrt().sum(-1) * row.shape[-1] ** -0.5
        few = (row.sum(-1) - even.square()).clamp_min(0).sqrt()
        scores = torch.stack([corner[..., 0], few, even, column.sqrt().mean(-1)], -1)
        return _kept(vector), _kept(scores.clamp(0, 1))


def _class_token(tokens: TokenLayout) -> int | None:
    return tokens.prefix.index("class") if "class" in tokens.prefix else None


def _kept(values: Tensor) -> Tensor:
    return values.detach().cpu()


def _shares(tokens: TokenLayout, grid: int) -> Tensor:
    """Share of each patch that lies in each cell, [patch, cell]; rows sum to 1."""
    row, col = _overlap(tokens.rows, grid), _overlap(tokens.cols, grid)
    return torch.einsum("rm,cn->rcmn", row, col).flatten(2).flatten(0, 1)


def _overlap(patches: int, cells: int) -> Tensor:
    """Share of each of some intervals of one length in each of others, [patch, cell]."""
    edges = torch.arange(patches + 1, dtype=torch.float64) / patches
    ends = torch.arange(cells + 1, dtype=torch.float64) / cells
    low = torch.maximum(edges[:-1, None], ends[:-1])
    high = torch.minimum(edges[1:, None], ends[1:])
    return (high - low).clamp_min(0) * patches


def _places(tokens: TokenLayout, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Row and column of each patch, and where the 3 x 3 around it lie in a grid padded by one."""
    row = torch.arange(tokens.rows, device=device).repeat_interleave(tokens.cols)
    col = torch.arange(tokens.cols, device=device).repeat(tokens.rows)
    step = torch.arange(3, device=device)
    down, right = step.repeat_interleave(3), step.repeat(3)
    around = (row[:, None] + down) * (tokens.cols + 2) + col[:, None] + right
    return row, col, around


def _neighbours(tokens: TokenLayout, row: Tensor, col: Tensor) -> Tensor:
    """Number of patches around each."""
    tall = 1 + (row > 0).int() + (row < tokens.rows - 1).int()
    wide = 1 + (col > 0).int() + (col < tokens.cols - 1).int()
    return tall * wide - 1
