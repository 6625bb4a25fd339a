"""Raw attention of the rows that are read out."""

from __future__ import annotations

import torch
from torch import Tensor

from .explicit import ExplicitViT, Record
from .readout import reads_class_token
from .rollout import fuse


def attention(vit: ExplicitViT, record: Record, head_fusion: str = "mean") -> Tensor:
    """Each layer's own map, [B, L, patches]; without a class token the mean over patch queries."""
    prefix = vit.prefix
    maps = []
    for matrix in record.attention:
        fused = fuse(matrix.detach(), head_fusion)
        row = fused[:, 0] if reads_class_token(vit) else fused[:, prefix:].mean(dim=1)
        maps.append(row[:, prefix:])
    return torch.stack(maps, dim=1)
