"""Pure functions of a :class:`~vit_attention_widget.trace.Trace`, each an :class:`Attribution`."""

from __future__ import annotations

from collections.abc import Callable

from .attention import attention
from .attention_gradient import attention_gradient
from .attribution import Attribution
from .daam import daam
from .gmar import gmar
from .gradcam import gradcam
from .gradient_rollout import gradient_rollout
from .legrad import legrad
from .relevance import relevance
from .rollout import rollout

__all__ = [
    "METHODS",
    "Attribution",
    "attention",
    "attention_gradient",
    "daam",
    "gmar",
    "gradcam",
    "gradient_rollout",
    "legrad",
    "relevance",
    "rollout",
]

METHODS: dict[str, Callable[..., Attribution]] = {
    "daam": daam,
    "legrad": legrad,
    "gmar": gmar,
    "relevance": relevance,
    "gradient_rollout": gradient_rollout,
    "gradcam": gradcam,
    "attention_gradient": attention_gradient,
    "rollout": rollout,
    "attention": attention,
}
"""Every explainer by name, in the order in which to offer them."""
