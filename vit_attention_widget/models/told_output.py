"""What a preparation, and then the model, makes of a picture that is always the same."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from .eval_mode import evaluating
from .vision_transformer import VisionTransformer

__all__ = ["output_for_picture", "prepared_picture", "same_output", "same_picture"]

_ROUNDING = 0.01
"""Of the largest value of an output: of half precision, on another device."""

_WIDTH, _HEIGHT = 320, 240
_SAMPLES = 48


def prepared_picture(vit: VisionTransformer) -> list[float] | None:
    """Shape and some values of what the preparation makes of the picture.

    None where it takes no such picture, or makes another of it each time.
    """
    picture = _picture()
    try:
        made, again = (vit.preparation.transform(picture) for _ in range(2))
        same = made.shape == again.shape and bool((made == again).all())
        return [*made.shape, *_samples(made)] if same else None
    except Exception:  # a user's function may want other pictures
        return None


def output_for_picture(vit: VisionTransformer) -> list[float] | None:
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


def same_picture(then: list[float], now: list[float]) -> bool:
    """Whether two prepared pictures are the same, but for rounding."""
    return len(then) == len(now) and np.allclose(then, now, rtol=1e-4, atol=1e-3, equal_nan=True)


def same_output(then: list[float], now: list[float], rounding: float = 1.0) -> bool:
    """Whether two outputs are the same, but for rounding, so many times as coarse as usual."""
    size = max(map(abs, then), default=0.0)
    return len(then) == len(now) and np.allclose(
        then, now, rtol=0, atol=_ROUNDING * rounding * size, equal_nan=True
    )


def _picture() -> Image.Image:
    levels = np.random.RandomState(0).randint(0, 256, (_HEIGHT // 8, _WIDTH // 8, 3), np.uint8)
    return Image.fromarray(levels).resize((_WIDTH, _HEIGHT), Image.Resampling.BILINEAR)


def _samples(values: Tensor) -> list[float]:
    flat = values.detach().flatten()
    chosen: list[float] = flat[:: max(1, flat.numel() // _SAMPLES)][:_SAMPLES].float().tolist()
    return [round(value, 4) for value in chosen]
