"""Maps side by side, and how far they agree on which patches matter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..models.map_area import WHOLE, Area
from ..results.csv_file import Row, write_csv
from ..results.heat_map import heat_map, heat_maps
from ..results.html import block
from ..results.named_values import NamedValues, Variable
from ..results.optional import optional
from ..results.storage import JsonObject
from ..results.unfinished import Unfinished, extent_from
from ..statistics.ranks import rank_correlation
from ..support.deprecation import (
    renamed_attribute,
    renamed_keywords,
    reordered_arguments,
    warn_renamed,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from pandas import DataFrame

__all__ = ["Comparison", "MapOf", "Scale"]

Scale = Literal["shared", "own", "rank"]


@dataclass(frozen=True)
class MapOf:
    """What one map of a comparison is of.

    Attributes
    ----------
    method, target : str
    layer : int
        The map as it stands after this layer.
    image : int
        Number of the image.
    model : str
        Name of the model, empty where there is one model only.
    """

    method: str
    target: str
    layer: int
    image: int = 0
    model: str = ""


@dataclass(frozen=True, eq=False)
class Comparison(Unfinished, NamedValues):
    """Maps on one patch grid, and how far they agree.

    Attributes
    ----------
    values : Tensor
        [map, row, col], float32, as the explainers gave them: not normalized.
    items : tuple of MapOf
        What each map is of.
    rank_correlation : array
        [map, map], Spearman's: 1 where two maps rank all patches alike, -1 where they rank them in
        opposite order; NaN where a map is constant.
    skipped : dict
        Explainers that do not work with this model, with the reason; a method that was asked for
        by name raises instead.
    error : Exception or None
        What ended the comparison early; the maps before are here.
    total : int or None
        Number of maps that there were to be.
    complete : bool
        Whether all maps are here; :attr:`how_far` says how many are.
    on_own_grid : tuple of Tensor
        [row, col] each: the maps on the patches of their own models, where these differ; else
        empty, and :attr:`values` has them.
    areas : tuple of tuple of float
        Where each map's patches lie on the picture, see :attr:`.Attribution.area`; empty where
        that is not known, and taken for all of it.
    """

    kind = "comparison"
    axes = ("map", "row", "col")

    values: Tensor = field(repr=False)
    items: tuple[MapOf, ...]
    rank_correlation: NDArray[np.float64] = field(repr=False)
    skipped: Mapping[str, str] = field(default_factory=dict)  # type: ignore[assignment]  # methods
    error: Exception | None = None
    total: int | None = None
    ongoing: bool = False
    on_own_grid: tuple[Tensor, ...] = field(default=(), repr=False)
    areas: tuple[Area, ...] = field(default=(), repr=False)

    unit = "map"
    left_out = renamed_attribute("skipped")

    def _so_far(self, total: int | None, ongoing: bool, skipped: object) -> Comparison:
        return self  # which is counted in maps

    @classmethod
    @renamed_keywords({"left_out": "skipped", "maps": "values"})
    def of(
        cls,
        values: Tensor | NDArray[np.float32],
        items: Sequence[MapOf],
        skipped: Mapping[str, str] | None = None,
        areas: Sequence[Area] = (),
    ) -> Comparison:
        """Compare maps that exist already, [map, row, col]."""
        maps = torch.as_tensor(values).detach().float().cpu()
        correlation, skipped = rank_correlation(maps.numpy()), dict(skipped or {})
        return cls(maps, tuple(items), correlation, skipped, areas=tuple(areas))

    @property
    def area(self) -> Area:
        """Where the grid of :attr:`values` lies on the picture, see :attr:`.Attribution.area`."""
        is_one = len(set(self.areas)) == 1 and not self.on_own_grid
        return self.areas[0] if is_one else WHOLE

    def __len__(self) -> int:
        """Number of maps."""
        return len(self.items)

    def __repr__(self) -> str:
        parts = " and ".join(self.differ) or "nothing"
        return f"Comparison({len(self)} maps that differ in {parts}{self._shortfall()})"

    @property
    def done(self) -> int:
        """Number of maps."""
        return len(self)

    @property
    def n_images(self) -> int:
        """Number of images of which there are maps."""
        return len({item.image for item in self.items})

    @property
    def maps(self) -> NDArray[np.float32]:
        """Old name of :attr:`values`, which is a tensor."""
        warn_renamed("Comparison.maps", "Comparison.values, a tensor")
        return np.asarray(self.values.numpy())

    @property
    def differ(self) -> tuple[str, ...]:
        """What tells the maps apart: some of "model", "image", "target", "method", "layer"."""
        parts = ("model", "image", "target", "method", "layer")
        return tuple(p for p in parts if len({getattr(item, p) for item in self.items}) > 1)

    @property
    def names(self) -> tuple[str, ...]:
        """A name for each map, made of what tells it apart."""
        words = {"image": "image {}", "layer": "layer {}"}
        parts = self.differ or ("method",)
        return tuple(
            ", ".join(words.get(part, "{}").format(getattr(item, part)) for part in parts)
            for item in self.items
        )

    @property
    def one_unit(self) -> bool:
        """Whether the maps share a unit; those of different methods or models do not."""
        return not {"method", "model"} & set(self.differ)

    @property
    def agreement(self) -> NDArray[np.float64]:
        """[map], each map's mean rank correlation with the others; NaN where there is none."""
        others = np.where(np.eye(len(self), dtype=bool), np.nan, self.rank_correlation)
        counts = np.isfinite(others).sum(1)
        total = np.nansum(others, 1)
        mean = np.full(len(self), np.nan)
        np.divide(total, counts, out=mean, where=counts > 0)
        return mean

    # Tables ---------------------------------------------------------------------------------------

    def rows(self) -> list[Row]:
        """One dict for each pair of maps: ``map``, ``other`` and their ``rank_correlation``."""
        table, names = self.rank_correlation.tolist(), self.names
        return [
            {"map": names[i], "other": names[j], "rank_correlation": table[i][j]}
            for i in range(len(self))
            for j in range(i)
        ]

    def to_dataframe(self) -> DataFrame:
        """The rank correlations as a square pandas table.

        Raises
        ------
        ParameterError
            If pandas is not installed.
        """
        pandas = optional("pandas", "to_dataframe()")
        return pandas.DataFrame(self.rank_correlation, index=self.names, columns=self.names)

    def to_csv(self, path: str | Path) -> None:
        """Write :meth:`rows` as a table.

        Raises
        ------
        ParameterError
            If the file cannot be written.
        """
        write_csv(path, self.rows())

    @reordered_arguments("self", "scale", moved=lambda args: isinstance(args[0], str))
    def plot(self, ax: Axes | None = None, *, scale: Scale | None = None) -> Axes:
        """Draw the maps as small multiples beside their rank correlations. Needs matplotlib.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Draw the rank correlations alone, into these axes.
        scale : {"shared", "own", "rank"}, optional
            One color scale for all maps, one for each, or patches by rank. By default shared for
            maps of one method, own for those of several, whose units differ.

        Returns
        -------
        matplotlib.axes.Axes
            Those of the rank correlations; ``.figure`` is the whole picture.

        Raises
        ------
        ParameterError
            If there is no such scale, or matplotlib is not installed.
        """
        from .plot import plot_comparison

        return plot_comparison(self, scale, ax)

    # What the shared tables, files and pictures are made of ---------------------------------------

    def _variables(self) -> Mapping[str, Variable]:
        correlation = torch.from_numpy(self.rank_correlation)
        return {
            "value": Variable(self.axes, self.values),
            "rank_correlation": Variable(("map", "other"), correlation),
        }

    def _coords(self) -> Mapping[str, Sequence[str]]:
        return {"map": self.names, "other": self.names}

    def _to_parts(self) -> tuple[dict[str, Tensor], JsonObject]:
        tensors = {
            "values": self.values,
            "rank_correlation": torch.from_numpy(self.rank_correlation),
            **{f"own {number}": values for number, values in enumerate(self.on_own_grid)},
        }
        items = [asdict(item) for item in self.items]
        about = {
            "items": items,
            "skipped": dict(self.skipped),
            "areas": [list(area) for area in self.areas],
            **self._about_extent(),
        }
        return tensors, about

    @classmethod
    def _from_parts(cls, tensors: dict[str, Tensor], about: JsonObject) -> Comparison:
        items = tuple(MapOf(**item) for item in about["items"])
        correlation = tensors["rank_correlation"].numpy()
        numbers = range(len(items)) if "own 0" in tensors else ()
        on_own_grid = tuple(tensors[f"own {number}"] for number in numbers)
        areas = tuple(
            (top, left, bottom, right) for top, left, bottom, right in about.get("areas", ())
        )
        extent, skipped, values = extent_from(about), about["skipped"], tensors["values"]
        return cls(values, items, correlation, skipped, *extent, on_own_grid, areas)

    def _repr_html_(self) -> str:
        correlation = heat_map(
            torch.from_numpy(self.rank_correlation), title="rank correlation", caption="map x map"
        )
        return block(repr(self), heat_maps(self.values, self.names), correlation)
