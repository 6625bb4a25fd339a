"""Attention of and to the class token, pooled and scored."""

from __future__ import annotations

import torch
from torch import Tensor

from ..tracing.trace import Trace
from .cells import cell_shares
from .family_spec import CLASS

__all__ = ["ClassTokenPooling"]


class ClassTokenPooling:
    """Pools a layer's class-token row and column to cells, and scores what each head does."""

    family = CLASS

    def __init__(self, trace: Trace, class_token: int) -> None:
        self.trace, self.tokens, self.class_token = trace, trace.tokens, class_token
        self.like = trace.probabilities
        self.shares = cell_shares(self.tokens, self.family.grid).to(self.like)

    def begin(self, layer: int) -> None:
        """Start with a layer."""
        shape = self.trace.batch_size, self.trace.num_heads[layer], self.tokens.num_tokens
        self.row, self.column = self.like.new_zeros(shape), self.like.new_zeros(shape)

    def add(self, rows: slice, attention: Tensor) -> None:
        """Take a few query rows, [image, head, row, key]."""
        self.column[:, :, rows] = attention[..., self.class_token]
        if rows.start <= self.class_token < rows.stop:
            self.row = attention[:, :, self.class_token - rows.start]

    def finished(self) -> tuple[Tensor, Tensor]:
        """Vectors [image, head, size] and scores [image, head, role] of the layer, on the CPU."""
        first, cells = self.tokens.num_prefix, self.shares.shape[1]
        corner = self.row[..., self.class_token, None].sqrt()
        row, column = self.row[..., first:], self.column[..., first:]
        means = self.shares / self.shares.sum(0)
        by_cell = (column @ means / cells).sqrt()  # so squares sum to the mean, as in the row
        vectors = torch.cat([(row @ self.shares).sqrt(), by_cell, corner], -1)
        uniform = row.sqrt().sum(-1) * row.shape[-1] ** -0.5
        few = (row.sum(-1) - uniform.square()).clamp_min(0).sqrt()
        scores = torch.stack([corner[..., 0], few, uniform, column.sqrt().mean(-1)], -1)
        return vectors.detach().cpu(), scores.clamp(0, 1).detach().cpu()
