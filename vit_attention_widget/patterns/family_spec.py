"""The two families of attention in which patterns are learned."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["CLASS", "FAMILIES", "PATCHES", "FamilyName", "FamilySpec"]

FamilyName = Literal["patches", "class"]


@dataclass(frozen=True)
class FamilySpec:
    """What describes the heads of one family.

    Attributes
    ----------
    name : {"patches", "class"}
    grid : int
        Patches are pooled to a grid of ``grid x grid`` cells.
    roles : tuple of str
        What a head may do; see :func:`~.pooled_heads.pool_heads` for how each is scored.
    """

    name: FamilyName
    grid: int
    roles: tuple[str, ...]

    @property
    def size(self) -> int:
        """Length of the vector that describes a head."""
        cells = self.grid**2
        return cells**2 if self is PATCHES else 2 * cells + 1


PATCHES = FamilySpec(
    "patches",
    7,
    ("self", "neighbors", "row", "column", "uniform", "sink", "class token", "registers"),
)
"""Attention among patches: [query cell, key cell] of 7 x 7 cells, 2,401 numbers."""

CLASS = FamilySpec("class", 14, ("itself", "few patches", "all patches", "attended to"))
"""The class token's row and column: what it attends to and is attended by, 14 x 14 cells each."""

FAMILIES: dict[FamilyName, FamilySpec] = {family.name: family for family in (PATCHES, CLASS)}
