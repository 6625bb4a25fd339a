"""How much of each map is left as the model's weights are randomized."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from torch import Tensor

from ...errors import ParameterError
from ...results.csv_file import Row, write_csv
from ...results.html import block, table
from ...results.named_values import NamedValues, Variable
from ...results.optional import optional
from ...support.deprecation import renamed_attribute, renamed_choice
from ..baselines import OLD_NAMES

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from pandas import DataFrame

__all__ = ["SanityCheck"]


@dataclass(frozen=True, eq=False)
class SanityCheck(NamedValues):
    """How much of each map is left as the model's weights are randomized.

    Attributes
    ----------
    values : Tensor
        [stage, method, image], the rank correlation with the original map, from -1 to 1; NaN where
        the original map is constant.
    stages : tuple of str
        What was randomized last; all stages before are randomized too.
    methods : tuple of str
    limit : float
        A map that correlates more than this in the end is called unchanged.
    """

    kind = "sanity check"
    axes = ("stage", "method", "image")

    values: Tensor = field(repr=False)
    stages: tuple[str, ...]
    methods: tuple[str, ...]
    limit: float
    correlation = renamed_attribute("values")

    def mean(self, method: str) -> Tensor:
        """Mean over the images after each stage, [stage].

        Raises
        ------
        ParameterError
            If the method was not checked.
        """
        method = renamed_choice("method", method, OLD_NAMES)
        if method not in self.methods:
            raise ParameterError(f"{method!r} was not checked, but {', '.join(self.methods)} were.")
        return self.values[:, self.methods.index(method)].nanmean(1)

    @property
    def unchanged(self) -> tuple[str, ...]:
        """Methods whose map is much the same when all weights are random.

        The mean over images of the absolute correlation after the last stage exceeds ``limit``:
        such a map does not show what the model has learned.
        """
        last = self.values[-1].abs().nanmean(1)
        left = zip(self.methods, last.tolist(), strict=True)
        return tuple(method for method, correlation in left if correlation > self.limit)

    def rows(self) -> list[Row]:
        """One dict for each stage and method: the mean over images, and whether it is flagged."""
        unchanged = self.unchanged
        return [
            {
                "stage": stage,
                "method": method,
                "correlation": float(self.mean(method)[index]),
                "unchanged": method in unchanged,
            }
            for index, stage in enumerate(self.stages)
            for method in self.methods
        ]

    def to_dataframe(self) -> DataFrame:
        """:meth:`rows` as a pandas table.

        Raises
        ------
        ParameterError
            If pandas is not installed.
        """
        return optional("pandas", "to_dataframe()").DataFrame(self.rows())

    def to_csv(self, path: str | Path) -> None:
        """Write :meth:`rows` as a table.

        Raises
        ------
        ParameterError
            If the file cannot be written.
        """
        write_csv(path, self.rows())

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the mean correlation of each method over the stages. Needs matplotlib.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional

        Returns
        -------
        matplotlib.axes.Axes
        """
        from .plot import plot_stages

        return plot_stages(self, ax)

    def summary(self) -> str:
        """What is left of each map after the first and the last stage, and what is flagged."""
        width = max(map(len, self.methods))
        lines = [f"Rank correlation with the original map, {self.values.shape[2]} image(s)"]
        for method in self.methods:
            values = self.mean(method)
            flag = "  UNCHANGED" if method in self.unchanged else ""
            lines.append(
                f"  {method:<{width}}  {float(values[0]):+.2f} ({self.stages[0]} random)  "
                f"{float(values[-1]):+.2f} (all random){flag}"
            )
        return "\n".join(lines)

    def _variables(self) -> Mapping[str, Variable]:
        return {"correlation": Variable(self.axes, self.values)}

    def _coords(self) -> Mapping[str, Sequence[str]]:
        return {"stage": self.stages, "method": self.methods}

    def _repr_html_(self) -> str:
        means = {method: self.mean(method).tolist() for method in self.methods}
        by_stage = {
            stage: [means[method][index] for method in self.methods]
            for index, stage in enumerate(self.stages)
        }
        flags = ["unchanged" if method in self.unchanged else "" for method in self.methods]
        title = f"Rank correlation with the original map, {self.values.shape[2]} image(s)"
        columns = {"method": self.methods, **by_stage, "": flags}
        return block(title, table(columns, limit=len(self.methods)))
