"""Which row of a token-by-token matrix is the map: the rows that the model reads out."""

from __future__ import annotations

from torch import Tensor

from .explicit import ExplicitViT, Record


def reads_class_token(vit: ExplicitViT) -> bool:
    """Whether the model's readout is its class token."""
    return getattr(vit.model, "cls_token", None) is not None and vit.model.global_pool == "token"


def read_out_rows(vit: ExplicitViT, matrix: Tensor, record: Record) -> Tensor:
    """[B, N, N] -> [B, patches].

    The class token's row where there is one. Without: the mean over the rows that are pooled, or
    the rows weighted by the pool's own latent query.
    """
    prefix = vit.prefix
    if record.pool_attention is not None:
        weights = record.pool_attention.detach().mean(dim=1)[:, 0]  # [B, N]
        pooled = matrix[:, matrix.shape[1] - weights.shape[1] :]  # it may leave out the prefix
        row = (weights[:, :, None] * pooled).sum(dim=1)
    elif reads_class_token(vit):
        row = matrix[:, 0]
    else:
        row = matrix[:, prefix:].mean(dim=1)
    return row[:, prefix:]
