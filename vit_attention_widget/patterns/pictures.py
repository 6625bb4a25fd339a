"""Pooled attention as pictures."""

from __future__ import annotations

import numpy as np

from .family_spec import PATCHES, FamilySpec
from .layout import Floats

__all__ = ["as_pictures"]


def as_pictures(vectors: Floats, family: FamilySpec) -> Floats:
    """The attention that vectors describe, [head, height, width].

    Among patches it is [query cell, key cell]. For the class token it is two grids of cells side by
    side: the share of the class token's attention that each cell gets, and the mean attention that
    each cell pays to the class token.
    """
    attention = np.square(np.clip(vectors, 0, 1), dtype=np.float32)
    cells = family.grid**2
    if family is PATCHES:
        return attention.reshape(-1, cells, cells)
    sides = attention[:, : 2 * cells].reshape(-1, 2, family.grid, family.grid)
    sides = sides * np.array([1, cells], np.float32)[:, None, None]
    return np.concatenate([sides[:, 0], sides[:, 1]], axis=-1)
