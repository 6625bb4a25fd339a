"""Occlusion, patch by patch, one image and one window at a time."""

from __future__ import annotations

import torch
from torch import Tensor

from .explicit import ExplicitViT

__all__ = ["occlusion"]


def occlusion(
    vit: ExplicitViT,
    images: Tensor,
    target: list[int],
    grid: tuple[int, int],
    patch: tuple[int, int],
    *,
    window: tuple[int, int] = (1, 1),
    stride: tuple[int, int] = (1, 1),
    baseline: float = 0.0,
) -> Tensor:
    """Mean fall of the logit over the windows that cover a patch, [image, row, col]."""
    rows, cols = grid
    high, wide = patch
    maps = torch.zeros(len(images), rows, cols, dtype=images.dtype)
    for i, image in enumerate(images):
        whole = vit(image[None]).logits[0, target[i]]
        falls: dict[tuple[int, int], list[Tensor]] = {}
        for top in {*range(0, rows - window[0] + 1, stride[0]), rows - window[0]}:
            for left in {*range(0, cols - window[1] + 1, stride[1]), cols - window[1]}:
                hidden = image.clone()
                patches = [
                    (r, c)
                    for r in range(top, top + window[0])
                    for c in range(left, left + window[1])
                ]
                for r, c in patches:
                    hidden[:, r * high : (r + 1) * high, c * wide : (c + 1) * wide] = baseline
                fall = whole - vit(hidden[None]).logits[0, target[i]]
                for place in patches:
                    falls.setdefault(place, []).append(fall.detach())
        for (r, c), each in falls.items():
            maps[i, r, c] = torch.stack(each).mean()
    return maps
