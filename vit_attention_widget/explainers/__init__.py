"""Pure functions of a :class:`~vit_attention_widget.trace.Trace`, each an :class:`Attribution`."""

from __future__ import annotations

from collections.abc import Callable

from .attention import attention
from .attribution import Attribution
from .daam import daam
from .gmar import gmar
from .legrad import legrad
from .rollout import rollout

__all__ = ["METHODS", "Attribution", "attention", "daam", "gmar", "legrad", "rollout"]

METHODS: dict[str, Callable[..., Attribution]] = {
    "daam": daam,
    "legrad": legrad,
    "gmar": gmar,
    "rollout": rollout,
    "attention": attention,
}
"""Every explainer by name, in the order in which to offer them."""
