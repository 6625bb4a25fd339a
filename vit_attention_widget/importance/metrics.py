"""How much a decision changes when a head is removed, by several measures of the same runs.

Each takes what the model made of the images before and after, and the class of each image, and
returns [variant, batch]; larger means that the head mattered more.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Literal

import torch
from torch import Tensor

from .upper_layers import Outcome

__all__ = ["EXACT", "METRICS", "NEED_A_CLASS", "OLD_METRICS", "Metric", "exact_values"]

Metric = Literal["probability", "jsd", "class_token_cosine", "loss", "accuracy", "taylor"]

_Measure = Callable[[Outcome, Outcome, Tensor], Tensor]


def probability(before: Outcome, after: Outcome, labels: Tensor) -> Tensor:
    """Fall of the class's probability, in [-1, 1]. Li et al. 2023, section 5.1."""
    return _of(before.logits.softmax(-1), labels) - _of(after.logits.softmax(-1), labels)


def jsd(before: Outcome, after: Outcome, labels: Tensor) -> Tensor:
    """Jensen-Shannon divergence of the two output distributions, natural log, in [0, ln 2]."""
    p, q = before.logits.log_softmax(-1), after.logits.log_softmax(-1)
    middle = torch.logaddexp(p, q) - math.log(2)
    both = p.exp() * (p - middle) + q.exp() * (q - middle)
    return both.sum(-1).div(2).clamp(0, math.log(2))


def class_token_cosine(before: Outcome, after: Outcome, labels: Tensor) -> Tensor:
    """1 - cosine of the token that is read out, as it stands after the head's layer, in [0, 2]."""
    return 1 - torch.cosine_similarity(before.summary, after.summary, dim=-1)


def loss(before: Outcome, after: Outcome, labels: Tensor) -> Tensor:
    """Rise of the cross-entropy of the class, in nats."""
    return _of(before.logits.log_softmax(-1), labels) - _of(after.logits.log_softmax(-1), labels)


def accuracy(before: Outcome, after: Outcome, labels: Tensor) -> Tensor:
    """1 where the class is no longer the first choice, -1 where it only now is, else 0."""
    labels = labels.to(before.logits.device)
    right = (outcome.logits.argmax(-1) == labels for outcome in (before, after))
    was, stays = (r.to(before.logits) for r in right)
    return was - stays


EXACT: Mapping[Metric, _Measure] = {
    "probability": probability,
    "jsd": jsd,
    "class_token_cosine": class_token_cosine,
    "loss": loss,
    "accuracy": accuracy,
}
"""Metrics that need one run a head, all from the same runs."""

METRICS: tuple[Metric, ...] = (*EXACT, "taylor")

OLD_METRICS: Mapping[str, Metric] = {"cls_cosine": "class_token_cosine"}
"""What metrics used to be called, and are called now."""

NEED_A_CLASS: tuple[Metric, ...] = ("probability", "loss", "accuracy")


def exact_values(name: Metric, before: Outcome, after: Outcome, labels: Tensor | None) -> Tensor:
    """One metric of one removal, [head, batch]."""
    if labels is None:
        labels = torch.zeros(1, dtype=torch.long, device=before.logits.device)
    return EXACT[name](_exactly(before), _exactly(after), labels)


def _exactly(found: Outcome) -> Outcome:
    """In double precision where there is one: small differences of large numbers follow."""
    wide = torch.float32 if found.logits.device.type == "mps" else torch.float64
    return Outcome(found.logits.to(wide), found.summary.to(wide))


def _of(values: Tensor, labels: Tensor) -> Tensor:
    """The entry of each image's class: [variant, batch, class] -> [variant, batch]."""
    index = labels.to(values.device).expand(values.shape[:-1])
    return values.gather(-1, index[..., None])[..., 0]
