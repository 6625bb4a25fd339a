"""Attention between patches, summed over the pairs that lie at the same offset."""

from __future__ import annotations

import torch
from torch import Tensor

from ..models.token_layout import TokenLayout

__all__ = ["OffsetSums"]


class OffsetSums:
    """Sums of attention over all pairs of patches with the same columns and row offset.

    Whatever depends on the distance of two patches is read off these sums, so that no matrix of
    all patches is held. They are [batch, head, query column, row offset, key column], and row
    offsets run from ``1 - rows`` to ``rows - 1``.

    Parameters
    ----------
    tokens : TokenLayout
    like : Tensor
        Its dtype and device are those of the sums.
    """

    def __init__(self, tokens: TokenLayout, like: Tensor) -> None:
        self.rows, self.cols = tokens.rows, tokens.cols
        self.hops = max(self.rows, self.cols)
        self._like = like
        col = torch.arange(self.cols)  # on the CPU: some devices have no float64
        across = (col[:, None, None] - col).abs()
        down = torch.arange(1 - self.rows, self.rows).abs()[:, None]
        hop = torch.maximum(across, down).flatten()
        self._hop = hop.to(like.device)
        self._pixels = torch.hypot(
            down.double() * tokens.patch_height, across.double() * tokens.patch_width
        ).to(like)
        pairs = (self.rows - down).expand(self.cols, -1, self.cols).flatten()
        self.pairs = torch.zeros_like(pairs[: self.hops]).index_add(0, hop, pairs).to(like.device)

    def zeros(self, batch: int, heads: int) -> Tensor:
        """Sums to start from."""
        return self._like.new_zeros(batch, heads, self.cols, 2 * self.rows - 1, self.cols)

    def add(
        self, sums: Tensor, rows: slice, attention: Tensor, scale: Tensor | None = None
    ) -> None:
        """Add the attention of some rows of patches in place.

        Parameters
        ----------
        sums : Tensor
        rows : slice
            Rows of the grid whose patches are the queries.
        attention : Tensor
            [batch, head, query patch, key patch].
        scale : Tensor, optional
            [batch, head, query patch, 1].
        """
        queries = (rows.stop - rows.start, self.cols)
        by_place = attention.unflatten(-1, (self.rows, self.cols)).unflatten(2, queries)
        scales = None if scale is None else scale[..., None].unflatten(2, queries)
        for i, row in enumerate(range(rows.start, rows.stop)):
            offsets = sums[..., self.rows - 1 - row : 2 * self.rows - 1 - row, :]
            if scales is None:
                offsets += by_place[:, :, i]
            else:
                offsets.addcmul_(by_place[:, :, i], scales[:, :, i])

    def by_hop(self, sums: Tensor) -> Tensor:
        """[batch, head, hop]: over all pairs of patches at each hop."""
        by_hop = sums.new_zeros(*sums.shape[:2], self.hops)
        return by_hop.index_add(-1, self._hop, sums.flatten(2))

    def times_distance(self, sums: Tensor) -> Tensor:
        """[batch, head]: attention times the distance of the patches' centers, in pixels."""
        return (sums * self._pixels).sum((-3, -2, -1))
