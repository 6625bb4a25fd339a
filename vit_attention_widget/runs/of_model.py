"""What a folder must know of a model: all that its logits depend on, and how pictures get there."""

from __future__ import annotations

import json
from typing import Any

from torch import nn

from ..models import VisionTransformer
from ..models.fingerprint import samples_of
from ..models.told_output import output_for_picture, prepared_picture, same_output, same_picture
from ..models.weight_sums import sum_of
from .told import digest

__all__ = ["ALL_WEIGHTS", "OUTPUT", "PREPARED", "PROMPTS", "alike", "told_of_model"]

PREPARED, PROMPTS, OUTPUT = "prepared picture", "prompts", "output for a picture"
"""Told by some values, as what runs elsewhere may round otherwise.

The output tells code of the same weights apart: a patched forward pass, hooks, masked heads, the
functions of :func:`.adapt`.
"""

ALL_WEIGHTS = "all weights"
"""Told by every value, where "weights" has a few of each: a single head may be what differs."""


def told_of_model(vit: VisionTransformer) -> dict[str, Any]:
    """A model as a manifest holds it."""
    told: dict[str, Any] = {
        "model": vit.name,
        "heads": list(vit.num_heads),
        "weights": digest(samples_of(vit).numpy().tobytes()),
        ALL_WEIGHTS: _checksum(vit.model),
        "preparation": str(getattr(vit, "preparation", None)),
        PREPARED: prepared_picture(vit),
        "classes": digest(json.dumps(list(vit.class_names or ())).encode()),
        "output": str(vit.output),
    }
    prompts = vit.told_prompts()
    if prompts is not None:
        told[PROMPTS] = prompts
    return {**told, OUTPUT: output_for_picture(vit)}  # last: what it comes of is said rather


def alike(name: str, then: Any, now: Any) -> bool:
    """Whether two values of one name are the same, but for rounding."""
    if isinstance(then, list) and isinstance(now, list):
        if name in (PREPARED, PROMPTS):
            return same_picture(then, now)
        if name == OUTPUT:
            return same_output(then, now)
    if name in (ALL_WEIGHTS, OUTPUT) and then is None:  # earlier releases do not say it
        return True
    return bool(then == now)


def _checksum(model: nn.Module) -> str:
    """A text that differs where a parameter, a saved buffer or packed int8 weights do."""
    sums = [[name, sum_of(value)] for name, value in model.state_dict().items()]
    return digest(json.dumps(sums).encode())
