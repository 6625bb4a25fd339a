"""Pure functions of a :class:`~vit_attention_widget.Trace`, each an :class:`Attribution`."""

from __future__ import annotations

from collections.abc import Callable

from .attribution import Attribution
from .methods.attention import attention
from .methods.attention_gradient import attention_gradient
from .methods.daam import daam
from .methods.gmar import gmar
from .methods.gradcam import gradcam
from .methods.gradient_rollout import gradient_rollout
from .methods.legrad import legrad
from .methods.relevance import relevance
from .methods.rollout import rollout

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
