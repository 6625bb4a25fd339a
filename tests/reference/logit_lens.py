"""The logit lens on timm's models: norm and head, one token at a time."""

from __future__ import annotations

import torch
from torch import Tensor

from .explicit import ExplicitViT, Record

__all__ = ["of_layers", "of_tokens"]


def of_tokens(vit: ExplicitViT, record: Record) -> Tensor:
    """Probabilities of every token of every layer, [image, layer, token, class]."""
    model = vit.model
    layers = []
    for tokens in record.tokens:
        each = []
        for place in range(tokens.shape[1]):
            alone = tokens[:, place]
            normed = model.fc_norm(model.norm(alone[:, None])[:, 0])
            logits = model.head(normed)
            if hasattr(model, "head_dist"):  # two tokens are read out, by a head each
                logits = (logits + model.head_dist(normed)) / 2
            powers = (logits - logits.amax(1, keepdim=True)).exp()
            each.append(powers / powers.sum(1, keepdim=True))
        layers.append(torch.stack(each, 1))
    return torch.stack(layers, 1).detach()


def of_layers(vit: ExplicitViT, record: Record) -> Tensor:
    """Probabilities by the model's own readout of each layer's tokens, [image, layer, class]."""
    layers = []
    for tokens in record.tokens:
        logits = vit.model.forward_head(vit.model.norm(tokens))
        powers = (logits - logits.amax(1, keepdim=True)).exp()
        layers.append(powers / powers.sum(1, keepdim=True))
    return torch.stack(layers, 1).detach()
