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
from .methods.integrated_gradients import integrated_gradients
from .methods.legrad import legrad
from .methods.occlusion import occlusion
from .methods.relevance import relevance
from .methods.rollout import rollout

__all__ = [
    "LONG_METHODS",
    "METHODS",
    "Attribution",
    "attention",
    "attention_gradient",
    "daam",
    "gmar",
    "gradcam",
    "gradient_rollout",
    "integrated_gradients",
    "legrad",
    "occlusion",
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
"""The explainers that run where nothing else is asked for, in the order in which to offer them."""

LONG_METHODS: dict[str, Callable[..., Attribution]] = {
    "integrated_gradients": integrated_gradients,
    "occlusion": occlusion,
}
"""Explainers that run the model many times, by name: they run where they are asked for by name.

Each takes ``progress=``, which may raise :class:`~vit_attention_widget.errors.JobCancelled`.
"""
