"""Interactions of heads: every pair removed from a model that is run by hand, one pass each."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .explicit import ExplicitViT
from .importance import read_out_token


def interactions(model: nn.Module, inputs: Tensor, target: list[int], metric: str) -> Tensor:
    """Change of each head's importance when another is gone, [B, gone, L, H]; NaN of itself."""
    heads = [(i, h) for i, block in enumerate(model.blocks) for h in range(block.attn.num_heads)]
    layers = len(model.blocks)
    values = torch.full((len(target), len(heads), layers, len(heads) // layers), torch.nan)
    values = values.double()
    for row, gone in enumerate(heads):
        for layer, head in heads:
            if (layer, head) != gone:
                values[:, row, layer, head] = importance(
                    model, inputs, target, metric, [gone], (layer, head)
                ) - importance(model, inputs, target, metric, [], (layer, head))
    return values


def importance(
    model: nn.Module,
    inputs: Tensor,
    target: list[int],
    metric: str,
    gone: list[tuple[int, int]],
    head: tuple[int, int],
) -> Tensor:
    """Importance of a head while others are gone, [B]."""
    images = torch.arange(len(target))
    records = []
    with torch.no_grad():
        for pairs in (gone, [*gone, head]):
            off: dict[int, list[int]] = {}
            for layer, number in pairs:
                off.setdefault(layer, []).append(number)
            vit = ExplicitViT(model, off)
            records.append(vit(inputs))
    p, q = (record.logits.softmax(-1) for record in records)
    if metric == "probability":
        return p[images, target] - q[images, target]
    if metric == "loss":
        return p[images, target].log() - q[images, target].log()
    if metric == "accuracy":
        right = torch.tensor(target)
        return (p.argmax(-1) == right).double() - (q.argmax(-1) == right).double()
    if metric == "jsd":
        m = (p + q) / 2
        return ((p * (p / m).log()).sum(-1) + (q * (q / m).log()).sum(-1)) / 2
    token, other = (read_out_token(vit, r.tokens[head[0]], records[0]) for r in records)
    return 1 - (token * other).sum(-1) / (token.norm(dim=-1) * other.norm(dim=-1))
