"""What a folder must know of a model: all that its logits depend on, and how pictures get there."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from PIL import Image
from torch import Tensor

from ..models import VisionTransformer
from ..models.fingerprint import fingerprint
from .told import digest

__all__ = ["PREPARED", "PROMPTS", "alike", "told_of_model"]

PREPARED, PROMPTS = "prepared picture", "prompts"
"""Told by some values, as what runs elsewhere may round otherwise."""

_WIDTH, _HEIGHT = 320, 240
_SAMPLES = 48


def told_of_model(vit: VisionTransformer) -> dict[str, Any]:
    """A model as a manifest holds it."""
    model = fingerprint(vit)
    told = {
        "model": model.name,
        "heads": list(model.num_heads),
        "weights": digest(model.samples.numpy().tobytes()),
        "preparation": str(getattr(vit, "preparation", None)),
        PREPARED: _prepared(vit),
        "classes": digest(json.dumps(list(vit.class_names or ())).encode()),
        "output": str(vit.output),
    }
    prompts = vit.told_prompts()
    return told if prompts is None else {**told, PROMPTS: prompts}


def alike(name: str, then: Any, now: Any) -> bool:
    """Whether two values of one name are the same, but for rounding."""
    if name in (PREPARED, PROMPTS) and isinstance(then, list) and isinstance(now, list):
        return len(then) == len(now) and np.allclose(
            then, now, rtol=1e-4, atol=1e-3, equal_nan=True
        )
    return bool(then == now)


def _prepared(vit: VisionTransformer) -> list[float] | None:
    """Shape and some values of what the preparation makes of a picture that is always the same.

    None where it takes no such picture, or makes another of it each time.
    """
    levels = np.random.RandomState(0).randint(0, 256, (_HEIGHT // 8, _WIDTH // 8, 3), np.uint8)
    picture = Image.fromarray(levels).resize((_WIDTH, _HEIGHT), Image.Resampling.BILINEAR)
    try:
        made, again = (vit.preparation.transform(picture) for _ in range(2))
        same = made.shape == again.shape and bool((made == again).all())
        return [*made.shape, *_samples(made)] if same else None
    except Exception:  # a user's function may want other pictures
        return None


def _samples(values: Tensor) -> list[float]:
    flat = values.detach().flatten()
    chosen: list[float] = flat[:: max(1, flat.numel() // _SAMPLES)][:_SAMPLES].float().tolist()
    return [round(value, 4) for value in chosen]
