"""Strength of attention by distance, pair by pair."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def profile(attention: Tensor, prefix: int, rows: int, cols: int) -> Tensor:
    """Mean attention over all ordered pairs at each hop; [B, H, N, N] -> [B, H, hop]."""
    hops = max(rows, cols)
    total = torch.zeros(*attention.shape[:2], hops, dtype=attention.dtype)
    count = [0] * hops
    for i in range(rows * cols):
        for j in range(rows * cols):
            hop = max(abs(i // cols - j // cols), abs(i % cols - j % cols))
            total[:, :, hop] += attention[:, :, prefix + i, prefix + j]
            count[hop] += 1
    return total / torch.tensor(count)


def entropy(strength: Tensor) -> Tensor:
    """-sum q ln q of a profile scaled to sum to 1; [B, H, hop] -> [B, H]."""
    q = strength / strength.sum(-1, keepdim=True)
    return -(q * q.log()).nansum(-1)


def distance(
    attention: Tensor, prefix: int, rows: int, cols: int, height: int, width: int, whole: bool
) -> Tensor:
    """Mean over patches of the mean distance in pixels to what they attend to, [B, H]."""
    between = attention[:, :, prefix:, prefix:]
    if whole:
        between = between / between.sum(-1, keepdim=True)
    total = torch.zeros(attention.shape[:2], dtype=attention.dtype)
    for i in range(rows * cols):
        for j in range(rows * cols):
            far = math.hypot((i // cols - j // cols) * height, (i % cols - j % cols) * width)
            total += between[:, :, i, j] * far
    return total / (rows * cols)
