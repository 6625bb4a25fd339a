"""What a folder must know of a model: all that its logits depend on, and how pictures get there."""

from __future__ import annotations

import json
import zlib
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from ..models import VisionTransformer
from ..models.eval_mode import evaluating
from ..models.fingerprint import fingerprint
from .told import digest

__all__ = ["ALL_WEIGHTS", "OUTPUT", "PREPARED", "PROMPTS", "alike", "told_of_model"]

PREPARED, PROMPTS, OUTPUT = "prepared picture", "prompts", "output for a picture"
"""Told by some values, as what runs elsewhere may round otherwise.

The output tells code of the same weights apart: a patched forward pass, hooks, masked heads, the
functions of :func:`.adapt`.
"""

ALL_WEIGHTS = "all weights"
"""Told by every value, where "weights" has a few of each: a single head may be what differs."""

_ROUNDING = 0.01
"""Of the largest value of an output: of half precision, on another device."""

_WIDTH, _HEIGHT = 320, 240
_SAMPLES = 48


def told_of_model(vit: VisionTransformer) -> dict[str, Any]:
    """A model as a manifest holds it."""
    model = fingerprint(vit)
    told: dict[str, Any] = {
        "model": model.name,
        "heads": list(model.num_heads),
        "weights": digest(model.samples.numpy().tobytes()),
        ALL_WEIGHTS: _checksum(vit.model),
        "preparation": str(getattr(vit, "preparation", None)),
        PREPARED: _prepared(vit),
        "classes": digest(json.dumps(list(vit.class_names or ())).encode()),
        "output": str(vit.output),
    }
    prompts = vit.told_prompts()
    if prompts is not None:
        told[PROMPTS] = prompts
    return {**told, OUTPUT: _output(vit)}  # last: what it comes of is said rather


def alike(name: str, then: Any, now: Any) -> bool:
    """Whether two values of one name are the same, but for rounding."""
    if name in (PREPARED, PROMPTS) and isinstance(then, list) and isinstance(now, list):
        return len(then) == len(now) and np.allclose(
            then, now, rtol=1e-4, atol=1e-3, equal_nan=True
        )
    if name == OUTPUT and isinstance(then, list) and isinstance(now, list):
        size = max(map(abs, then), default=0.0)
        return len(then) == len(now) and np.allclose(
            then, now, rtol=0, atol=_ROUNDING * size, equal_nan=True
        )
    if name in (ALL_WEIGHTS, OUTPUT) and then is None:  # earlier releases do not say it
        return True
    return bool(then == now)


def _checksum(model: nn.Module) -> str:
    """A text that differs where a parameter, a saved buffer or packed int8 weights do."""
    sums = [[name, _sum_of(value)] for name, value in model.state_dict().items()]
    return digest(json.dumps(sums).encode())


def _sum_of(value: object) -> object:
    if isinstance(value, list | tuple):
        return [_sum_of(part) for part in value]
    if not isinstance(value, Tensor):
        return str(value)
    about = f"{value.dtype} {list(value.shape)}"
    try:
        if value.is_quantized:
            return [about, str(value.qscheme()), _sum_of(value.int_repr()), str(value.dequantize())]
        flat = value.detach().cpu().contiguous().flatten()
        return [about, zlib.crc32(flat.view(torch.uint8).numpy().data)]
    except (RuntimeError, TypeError, NotImplementedError):  # other libraries' kinds of tensors
        return [about, str(value)]


def _prepared(vit: VisionTransformer) -> list[float] | None:
    """Shape and some values of what the preparation makes of a picture that is always the same.

    None where it takes no such picture, or makes another of it each time.
    """
    picture = _picture()
    try:
        made, again = (vit.preparation.transform(picture) for _ in range(2))
        same = made.shape == again.shape and bool((made == again).all())
        return [*made.shape, *_samples(made)] if same else None
    except Exception:  # a user's function may want other pictures
        return None


def _output(vit: VisionTransformer) -> list[float] | None:
    """Some values of what the model makes of the same picture as it is now.

    None where it takes no such picture, or makes something else of it each time.
    """
    picture = _picture()
    try:
        with evaluating(vit.model), torch.no_grad():
            made, again = (vit.forward(vit.prepare(picture)).detach() for _ in range(2))
        same = torch.allclose(made, again, rtol=1e-3, atol=1e-5, equal_nan=True)
        return _samples(made) if same else None
    except Exception:  # the images that it is given may be others
        return None


def _picture() -> Image.Image:
    levels = np.random.RandomState(0).randint(0, 256, (_HEIGHT // 8, _WIDTH // 8, 3), np.uint8)
    return Image.fromarray(levels).resize((_WIDTH, _HEIGHT), Image.Resampling.BILINEAR)


def _samples(values: Tensor) -> list[float]:
    flat = values.detach().flatten()
    chosen: list[float] = flat[:: max(1, flat.numel() // _SAMPLES)][:_SAMPLES].float().tolist()
    return [round(value, 4) for value in chosen]
