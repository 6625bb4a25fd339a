"""Chefer, Gur and Wolf 2021: relevance through attention times gradient; rollout weighted by it."""

from __future__ import annotations

import torch
from torch import Tensor

from .explicit import ExplicitViT, Record, gradients, score
from .readout import read_out_rows, reads_class_token
from .rollout import discard, fuse


def relevance(vit: ExplicitViT, record: Record, target: list[int]) -> Tensor:
    """R <- R + mean_h relu(A * dy/dA) R; after each layer the read-out row, [B, L, patches]."""
    tokens = record.attention[0].shape[-1]
    related = torch.eye(tokens, dtype=torch.float64).expand(len(target), -1, -1)
    maps = []
    by_attention = gradients(score(record.logits, target), record.attention)
    for attention, gradient in zip(record.attention, by_attention, strict=True):
        cam = torch.zeros_like(related)
        for head in range(attention.shape[1]):
            cam = cam + (attention[:, head].detach() * gradient[:, head]).clamp_min(0)
        cam = cam / attention.shape[1]
        related = related + cam @ related
        maps.append(read_out_rows(vit, related, record))
    return torch.stack(maps, dim=1)


def gradient_rollout(
    vit: ExplicitViT,
    record: Record,
    target: list[int],
    head_fusion: str = "mean",
    discard_ratio: float = 0.0,
    residual_weight: float = 1.0,
) -> Tensor:
    """R <- rownorm(relu(fuse(A * dy/dA)) + residual_weight I) R, [B, L, patches]."""
    tokens = record.attention[0].shape[-1]
    identity = torch.eye(tokens, dtype=torch.float64)
    rolled = identity.expand(len(target), -1, -1)
    maps = []
    by_attention = gradients(score(record.logits, target), record.attention)
    for attention, gradient in zip(record.attention, by_attention, strict=True):
        fused = fuse(attention.detach() * gradient, head_fusion).clamp_min(0)
        step = discard(fused, discard_ratio, vit.prefix) + residual_weight * identity
        rolled = (step / step.sum(dim=-1, keepdim=True)) @ rolled
        maps.append(read_out_rows(vit, rolled, record))
    return torch.stack(maps, dim=1)


def attention_gradient(vit: ExplicitViT, record: Record, target: list[int]) -> Tensor:
    """mean_h relu(A * dy/dA) of the read-out row, each layer by itself, [B, L, patches]."""
    maps = []
    by_attention = gradients(score(record.logits, target), record.attention)
    for attention, gradient in zip(record.attention, by_attention, strict=True):
        cam = (attention.detach() * gradient).clamp_min(0).mean(dim=1)
        row = cam[:, 0] if reads_class_token(vit) else cam[:, vit.prefix :].mean(dim=1)
        maps.append(row[:, vit.prefix :])
    return torch.stack(maps, dim=1)
