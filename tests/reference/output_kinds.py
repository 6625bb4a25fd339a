"""What is said of logits by kind of output, one image, one class, one number at a time."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from .explicit import ExplicitViT

KINDS = ("softmax", "sigmoid", "binary", "value")


def said(logits: list[float], kind: str) -> list[float]:
    """What is said of each class: probabilities that exclude each other, or not, or values."""
    if kind == "softmax":
        exponents = [math.exp(z - max(logits)) for z in logits]
        return [e / sum(exponents) for e in exponents]
    if kind == "sigmoid":
        return [1 / (1 + math.exp(-z)) for z in logits]
    if kind == "binary":
        (z,) = logits
        return [1 / (1 + math.exp(z)), 1 / (1 + math.exp(-z))]
    return logits


def is_picked(logits: list[float], label: int, kind: str) -> bool:
    """Whether a model says that the class is there."""
    p = said(logits, kind)
    if kind in ("sigmoid", "binary"):
        return p[label] > 0.5
    return p[label] == max(p)


def divergence(p: list[float], q: list[float]) -> float:
    """Jensen-Shannon divergence of two distributions, in nats."""
    total = 0.0
    for a, b in zip(p, q, strict=True):
        middle = (a + b) / 2
        total += a * math.log(a / middle) / 2 + b * math.log(b / middle) / 2
    return total


def metrics(before: list[float], after: list[float], label: int, kind: str) -> dict[str, float]:
    """Every metric of head importance of one image that is defined for the kind of output."""
    p, q = said(before, kind), said(after, kind)
    values = {"probability": p[label] - q[label]}
    if kind == "value":
        return values
    if kind == "softmax":
        jsd = divergence(p, q)
    else:
        each = [divergence([a, 1 - a], [b, 1 - b]) for a, b in zip(p, q, strict=True)]
        jsd = sum(each) / len(each)
    values["jsd"] = jsd
    values["loss"] = -math.log(q[label]) + math.log(p[label])
    values["accuracy"] = float(is_picked(before, label, kind)) - float(
        is_picked(after, label, kind)
    )
    return values


def importance(model: nn.Module, inputs: Tensor, labels: list[int], kind: str) -> dict[str, Tensor]:
    """Every metric [image, layer, head], removing one head after another."""
    with torch.no_grad():
        whole = ExplicitViT(model, {})(inputs).logits.tolist()
    shape = len(labels), len(model.blocks), model.blocks[0].attn.num_heads
    values: dict[str, Tensor] = {}
    for layer in range(shape[1]):
        for head in range(shape[2]):
            with torch.no_grad():
                logits = ExplicitViT(model, {layer: [head]})(inputs).logits.tolist()
            for image, label in enumerate(labels):
                each = metrics(whole[image], logits[image], label, kind)
                for name, value in each.items():
                    table = values.setdefault(name, torch.zeros(shape, dtype=torch.float64))
                    table[image, layer, head] = value
    return values
