"""Maps beside each other, and how far they agree on which patches matter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..statistics.ranks import rank_correlation
from ..support.deprecation import renamed_attribute, renamed_keywords

__all__ = ["Comparison", "MapOf", "Maps"]

Maps = NDArray[np.float32]


@dataclass(frozen=True)
class MapOf:
    """What one map of a comparison is of."""

    method: str
    target: str
    layer: int
    image: int = 0
    model: str = ""


@dataclass(frozen=True, eq=False)
class Comparison:
    """Maps of one grid, and how far they agree.

    Attributes
    ----------
    maps : array
        [item, row, col], float32, as the explainers gave them: not normalised.
    items : tuple of MapOf
        What each map is of.
    rank_correlation : array
        [item, item], Spearman's: 1 where two maps put the patches in the same order, -1 in the
        opposite one; NaN where a map is the same everywhere.
    skipped : dict
        Methods that were not asked for by name and do not work here, with the reason.
    """

    maps: Maps
    items: tuple[MapOf, ...]
    rank_correlation: NDArray[np.float64]
    skipped: Mapping[str, str] = field(default_factory=dict)
    left_out = renamed_attribute("skipped")

    @classmethod
    @renamed_keywords({"left_out": "skipped"})
    def of(
        cls, maps: Maps, items: Sequence[MapOf], skipped: Mapping[str, str] | None = None
    ) -> Comparison:
        """Compare maps that are there already, [item, row, col]."""
        maps = np.asarray(maps, np.float32)
        return cls(maps, tuple(items), rank_correlation(maps), dict(skipped or {}))

    def __len__(self) -> int:
        return len(self.items)

    def __repr__(self) -> str:
        parts = " and ".join(self.differ) or "nothing"
        return f"Comparison({len(self)} maps that differ in {parts})"

    @property
    def differ(self) -> tuple[str, ...]:
        """In what the maps differ: some of "model", "image", "target", "method", "layer"."""
        parts = ("model", "image", "target", "method", "layer")
        return tuple(p for p in parts if len({getattr(item, p) for item in self.items}) > 1)

    @property
    def names(self) -> tuple[str, ...]:
        """A name for each map, of what it does not share with all others."""
        words = {"image": "image {}", "layer": "layer {}"}
        parts = self.differ or ("method",)
        return tuple(
            ", ".join(words.get(part, "{}").format(getattr(item, part)) for part in parts)
            for item in self.items
        )

    @property
    def one_unit(self) -> bool:
        """Whether the values can be compared: those of several methods or models cannot."""
        return not {"method", "model"} & set(self.differ)

    @property
    def agreement(self) -> NDArray[np.float64]:
        """[item], each map's mean rank correlation with the others; NaN where there is none."""
        others = np.where(np.eye(len(self), dtype=bool), np.nan, self.rank_correlation)
        known = np.isfinite(others).sum(1)
        total = np.nansum(others, 1)
        return np.divide(total, known, out=np.full(len(self), np.nan), where=known > 0)

    def to_dataframe(self) -> Any:
        """The rank correlations as a square table. Needs pandas."""
        import pandas as pd

        return pd.DataFrame(self.rank_correlation, index=self.names, columns=self.names)

    def plot(self, scale: str | None = None) -> Any:
        """The maps as small multiples, and their rank correlations. Needs matplotlib.

        Parameters
        ----------
        scale : {"shared", "own", "rank"}, optional
            One colour scale for all, one for each, or patches by rank; shared for maps of one
            method, own for several, whose units differ.

        Returns
        -------
        matplotlib.figure.Figure
        """
        from .plot import plot_comparison

        return plot_comparison(self, scale)
