"""Which of very many points are drawn: a fixed choice, so that more of them come with each zoom."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["MOST_POINTS", "chosen"]

MOST_POINTS = 50_000


def chosen(images: NDArray[np.int64], most: int = MOST_POINTS) -> NDArray[np.int64]:
    """At most so many of the images, in order: whichever are asked for, the same come first."""
    if len(images) <= most:
        return images
    rank = images.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)  # Knuth: scattered evenly
    return np.sort(images[np.argsort(rank, kind="stable")[:most]])
