"""Abnar and Zuidema 2020: attention rollout."""

from __future__ import annotations

import torch
from torch import Tensor

from .explicit import ExplicitViT, Record
from .readout import read_out_rows


def fuse(attention: Tensor, fusion: str) -> Tensor:
    """[B, H, N, N] -> [B, N, N]."""
    if fusion == "mean":
        return attention.mean(dim=1)
    return attention.amax(dim=1) if fusion == "max" else attention.amin(dim=1)


def discard(fused: Tensor, ratio: float, prefix: int) -> Tensor:
    """Set the smallest entries of [B, N, N] to 0, one by one."""
    batch, tokens, _ = fused.shape
    fused = fused.clone()
    for b in range(batch if ratio > 0 else 0):
        smallest = sorted(
            (fused[b, i, j].item(), i, j) for i in range(tokens) for j in range(tokens)
        )
        for _, i, j in smallest[: int(tokens * tokens * ratio)]:
            if j > 0 or prefix == 0:  # the class token's column stays
                fused[b, i, j] = 0
    return fused


def rollout(
    vit: ExplicitViT,
    record: Record,
    head_fusion: str = "mean",
    discard_ratio: float = 0.0,
    residual_weight: float = 1.0,
) -> Tensor:
    """R <- rownorm(A + residual_weight I) R; after each layer the read-out row, [B, L, patches]."""
    maps = []
    rolled: Tensor | None = None
    for attention in record.attention:
        tokens = attention.shape[-1]
        fused = discard(fuse(attention.detach(), head_fusion), discard_ratio, vit.prefix)
        update = fused + residual_weight * torch.eye(tokens, dtype=fused.dtype)
        update = update / update.sum(dim=-1, keepdim=True)
        rolled = update if rolled is None else update @ rolled
        maps.append(read_out_rows(vit, rolled, record))
    return torch.stack(maps, dim=1)
