"""Head importance: leave one out, one forward pass a head, and Michel et al.'s estimate."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .explicit import ExplicitViT, Record, gradients, score


def leave_one_out(model: nn.Module, inputs: Tensor, target: list[int]) -> tuple[Tensor, Tensor]:
    """Importance [B, L, H] and baseline [B]: the label's probability, minus it without the head."""
    images = torch.arange(len(target))

    def probability(switched_off: dict[int, list[int]]) -> Tensor:
        with torch.no_grad():
            return ExplicitViT(model, switched_off)(inputs).logits.softmax(-1)[images, target]

    baseline = probability({})
    heads = [block.attn.num_heads for block in model.blocks]
    layers = [
        torch.stack([baseline - probability({layer: [head]}) for head in range(count)], dim=1)
        for layer, count in enumerate(heads)
    ]
    return torch.stack(layers, dim=1), baseline


def taylor(record: Record, target: list[int]) -> Tensor:
    """abs(sum O dy/dO) over each head, [B, L, H]."""
    found = gradients(score(record.logits, target), record.head_outputs)
    return torch.stack(
        [(o * g).sum(dim=(2, 3)).abs() for o, g in zip(record.head_outputs, found, strict=True)],
        dim=1,
    ).detach()
