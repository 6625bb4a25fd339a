"""Attention among patches, pooled and scored a few rows at a time."""

from __future__ import annotations

import torch
from torch import Tensor

from ..tracing.trace import Trace
from .cells import Neighborhood, cell_shares
from .family_spec import PATCHES

__all__ = ["PatchPooling"]

_SINK = PATCHES.roles.index("sink")


class PatchPooling:
    """Pools a layer's attention among patches to cells, and scores what each head does."""

    family = PATCHES

    def __init__(self, trace: Trace) -> None:
        self.trace, self.tokens = trace, trace.tokens
        self.like = trace.probabilities
        self.shares = cell_shares(self.tokens, self.family.grid).to(self.like)  # [patch, cell]
        self.means = self.shares / self.shares.sum(0)
        self.near = Neighborhood(self.tokens, self.like.device)
        self.class_token = self.tokens.class_token
        prefix = range(self.tokens.num_prefix)
        self.registers = [token for token in prefix if token != self.class_token]

    def begin(self, layer: int) -> None:
        """Start with a layer."""
        shape = self.trace.batch_size, self.trace.num_heads[layer]
        cells, patches = self.shares.shape[1], self.tokens.num_patches
        self.pooled = self.like.new_zeros(*shape, cells, cells)
        self.totals = self.like.new_zeros(*shape, len(self.family.roles))
        self.root_row = self.like.new_zeros(*shape, patches)

    def add(self, rows: slice, attention: Tensor) -> None:
        """Take a few query rows, [image, head, row, key]."""
        first = self.tokens.num_prefix
        patches = slice(max(rows.start, first) - first, rows.stop - first)
        if patches.stop <= patches.start:
            return
        attention = attention[:, :, max(first - rows.start, 0) :]
        to_patches = attention[..., first:]
        self.pooled += self.means[patches].T @ (to_patches @ self.shares)
        root = to_patches.sqrt()
        self.root_row += root.sum(2)
        by_role = self._scores(patches, attention, root)
        self.totals += torch.stack([score.sum(2) for score in by_role], -1)

    def _scores(self, patches: slice, attention: Tensor, root: Tensor) -> list[Tensor]:
        """Coefficients of query patches with each role's template, [image, head, row] a role."""
        grid = root.unflatten(-1, (self.tokens.rows, self.tokens.cols))
        row, col = self.near.row[patches], self.near.col[patches]
        padded = torch.nn.functional.pad(grid, (1, 1, 1, 1)).flatten(-2)
        around = padded.gather(-1, self.near.around[patches].expand(*padded.shape[:3], -1))
        itself = around[..., 4]
        count = self.near.count[patches].to(root)
        neighbors = (around.sum(-1) - itself) * count.clamp_min(1).rsqrt()
        in_row = grid.sum(-1).gather(-1, row[:, None].expand(*grid.shape[:3], 1))[..., 0]
        in_col = grid.sum(-2).gather(-1, col[:, None].expand(*grid.shape[:3], 1))[..., 0]
        none = torch.zeros_like(itself)
        to_class = none if self.class_token is None else attention[..., self.class_token].sqrt()
        to_registers = attention[..., self.registers].sqrt().sum(-1)
        return [
            itself,
            neighbors,
            in_row * self.tokens.cols**-0.5,
            in_col * self.tokens.rows**-0.5,
            root.sum(-1) * self.tokens.num_patches**-0.5,
            none,  # the sink is known after the last row
            to_class,
            to_registers * max(1, len(self.registers)) ** -0.5,
        ]

    def finished(self) -> tuple[Tensor, Tensor]:
        """Vectors [image, head, size] and scores [image, head, role] of the layer, on the CPU."""
        scores = self.totals / self.tokens.num_patches
        mean = self.root_row / self.tokens.num_patches
        uniform = mean.sum(-1) * self.tokens.num_patches**-0.5
        squared = mean.square().sum(-1)
        scores[..., _SINK] = (squared * (squared - uniform.square()).clamp_min(0)).sqrt()
        vectors = self.pooled.clamp(0, 1).sqrt().flatten(-2)
        return vectors.detach().cpu(), scores.clamp(0, 1).detach().cpu()
