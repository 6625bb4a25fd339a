"""Head importance: leave one out, one forward pass a head, and Michel et al.'s estimate."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .explicit import ExplicitViT, Record, gradients, score
from .readout import reads_class_token


def leave_one_out(
    model: nn.Module, inputs: Tensor, target: list[int]
) -> tuple[dict[str, Tensor], Tensor]:
    """Every metric [B, L, H], and the label's probability with all heads [B]."""
    images = torch.arange(len(target))

    def run(switched_off: dict[int, list[int]]) -> tuple[ExplicitViT, Record]:
        with torch.no_grad():
            vit = ExplicitViT(model, switched_off)
            return vit, vit(inputs)

    vit, whole = run({})
    p = whole.logits.softmax(-1)
    tables: dict[str, Tensor] = {}
    heads = [block.attn.num_heads for block in model.blocks]
    for layer, count in enumerate(heads):
        for head in range(count):
            _, record = run({layer: [head]})
            q = record.logits.softmax(-1)
            m = (p + q) / 2
            token = read_out_token(vit, whole.tokens[layer], whole)
            other = read_out_token(vit, record.tokens[layer], whole)
            values = {
                "probability": p[images, target] - q[images, target],
                "jsd": ((p * (p / m).log()).sum(-1) + (q * (q / m).log()).sum(-1)) / 2,
                "class_token_cosine": 1
                - (token * other).sum(-1) / (token.norm(dim=-1) * other.norm(dim=-1)),
                "loss": -q[images, target].log() + p[images, target].log(),
                "accuracy": (p.argmax(-1) == torch.tensor(target)).double()
                - (q.argmax(-1) == torch.tensor(target)).double(),
            }
            for name, value in values.items():
                table = tables.setdefault(name, torch.zeros(len(target), len(heads), max(heads)))
                tables[name] = table.double()
                tables[name][:, layer, head] = value
    return tables, p[images, target]


def read_out_token(vit: ExplicitViT, tokens: Tensor, record: Record) -> Tensor:
    """The class token [B, D], or the mean of what is pooled, weighted as the pool weighs it."""
    if record.pool_attention is not None:
        weights = record.pool_attention.mean(dim=1)[:, 0]
        return (weights[:, :, None] * tokens[:, tokens.shape[1] - weights.shape[1] :]).sum(dim=1)
    return tokens[:, 0] if reads_class_token(vit) else tokens[:, vit.prefix :].mean(dim=1)


def taylor(record: Record, target: list[int]) -> Tensor:
    """abs(sum O dy/dO) over each head, [B, L, H]."""
    slopes = gradients(score(record.logits, target), record.head_outputs)
    return torch.stack(
        [(o * g).sum(dim=(2, 3)).abs() for o, g in zip(record.head_outputs, slopes, strict=True)],
        dim=1,
    ).detach()
