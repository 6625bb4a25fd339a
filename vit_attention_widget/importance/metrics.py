"""How much a decision changes when a head is removed, by several measures of the same runs.

Each takes what the model made of the images before and after, and the class of each image, and
returns [variant, batch]; larger means that the head mattered more. What is compared follows the
kind of output: probabilities by softmax or by sigmoid, or values.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from ..errors import UnsupportedModelError
from ..models.output_kind import OutputKind, class_logits, picks, probabilities
from .upper_layers import Outcome

__all__ = [
    "EXACT",
    "METRICS",
    "NEED_A_CLASS",
    "OLD_METRICS",
    "Metric",
    "exact_values",
    "lacking",
    "quantity",
]

Metric = Literal["probability", "jsd", "class_token_cosine", "loss", "accuracy", "taylor"]

_Measure = Callable[[Outcome, Outcome, Tensor], Tensor]


def probability(before: Outcome, after: Outcome, labels: Tensor) -> Tensor:
    """Fall of the class's probability, in [-1, 1]; of values the fall of the value.

    Li et al. 2023, section 5.1.
    """
    p, q = (probabilities(outcome.logits, outcome.kind) for outcome in (before, after))
    return _of(p, labels) - _of(q, labels)


def jsd(before: Outcome, after: Outcome, labels: Tensor) -> Tensor:
    """Jensen-Shannon divergence of the two output distributions, natural log, in [0, ln 2].

    Where each class is there or not: the mean over the classes of the divergence of the two
    Bernoulli distributions.
    """
    p, q = (_log_distributions(outcome) for outcome in (before, after))
    middle = torch.logaddexp(p, q) - math.log(2)
    both = p.exp() * (p - middle) + q.exp() * (q - middle)
    return both.sum(-1).div(2).clamp(0, math.log(2)).mean(-1)


def class_token_cosine(before: Outcome, after: Outcome, labels: Tensor) -> Tensor:
    """1 - cosine of the token that is read out, as it stands after the head's layer, in [0, 2]."""
    return 1 - torch.cosine_similarity(_summary(before), _summary(after), dim=-1)


def loss(before: Outcome, after: Outcome, labels: Tensor) -> Tensor:
    """Rise of the class's cross-entropy, in nats; by sigmoid the binary one of its presence."""
    return _of(_log_probabilities(before), labels) - _of(_log_probabilities(after), labels)


def accuracy(before: Outcome, after: Outcome, labels: Tensor) -> Tensor:
    """1 where the class is no longer picked, -1 where it only now is, else 0.

    Picked is the first choice; by sigmoid what is more probable than not.
    """
    was, stays = (
        _of(picks(outcome.logits, outcome.kind), labels).to(before.logits)
        for outcome in (before, after)
    )
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

_NEED_PROBABILITIES: tuple[Metric, ...] = ("jsd", "loss", "accuracy")


def quantity(metric: Metric, kind: OutputKind) -> str:
    """What a metric is called: of values, probability is the value."""
    return "value" if kind == "value" and metric == "probability" else metric


def lacking(kind: OutputKind) -> tuple[Metric, ...]:
    """Metrics that are not defined for a kind of output."""
    if kind in ("softmax", "sigmoid"):
        return ()
    return _NEED_PROBABILITIES if kind == "value" else ("probability", *_NEED_PROBABILITIES)


def exact_values(name: Metric, before: Outcome, after: Outcome, labels: Tensor | None) -> Tensor:
    """One metric of one removal, [head, batch]."""
    if labels is None:
        labels = torch.zeros(1, dtype=torch.long, device=before.logits.device)
    return EXACT[name](_exactly(before), _exactly(after), labels)


def _summary(outcome: Outcome) -> Tensor:
    if isinstance(outcome.summary, str):
        raise UnsupportedModelError(outcome.summary)
    return outcome.summary


def _exactly(outcome: Outcome) -> Outcome:
    """In double precision where there is one: small differences of large numbers follow."""
    wide = torch.float32 if outcome.logits.device.type == "mps" else torch.float64
    summary = outcome.summary
    summary = summary if isinstance(summary, str) else summary.to(wide)
    return Outcome(outcome.logits.to(wide), summary, outcome.kind)


def _log_distributions(outcome: Outcome) -> Tensor:
    """Log probabilities [variant, batch, distribution, outcome]: one over the classes, or each."""
    if outcome.kind == "softmax":
        return outcome.logits.log_softmax(-1).unsqueeze(-2)
    return torch.stack([logsigmoid(outcome.logits), logsigmoid(-outcome.logits)], -1)


def _log_probabilities(outcome: Outcome) -> Tensor:
    """[variant, batch, class]."""
    logits = class_logits(outcome.logits, outcome.kind)
    return logits.log_softmax(-1) if outcome.kind == "softmax" else logsigmoid(logits)


def _of(values: Tensor, labels: Tensor) -> Tensor:
    """The entry of each image's class: [variant, batch, class] -> [variant, batch]."""
    index = labels.to(values.device).expand(values.shape[:-1])
    return values.gather(-1, index[..., None])[..., 0]
