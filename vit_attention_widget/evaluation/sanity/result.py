"""How much of each map is left as a model's weights are randomized."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from ...errors import ParameterError
from ...results.csv_file import write_csv
from ...support.deprecation import renamed_choice
from ..baselines import OLD_NAMES

__all__ = ["SanityCheck"]


@dataclass(frozen=True)
class SanityCheck:
    """How much of each map is left as a model forgets.

    Attributes
    ----------
    correlation : Tensor
        [stage, method, image], from -1 to 1; NaN where the original map is constant.
    stages : tuple of str
        What was made random last: all stages before it are random too.
    methods : tuple of str
    limit : float
        Above it a map counts as unchanged.
    """

    correlation: Tensor = field(repr=False)
    stages: tuple[str, ...]
    methods: tuple[str, ...]
    limit: float

    def mean(self, method: str) -> Tensor:
        """Mean over images at each stage, [stage]."""
        method = renamed_choice("method", method, OLD_NAMES)
        if method not in self.methods:
            raise ParameterError(f"{method!r} was not checked, but {', '.join(self.methods)}.")
        return self.correlation[:, self.methods.index(method)].nanmean(1)

    @property
    def unchanged(self) -> tuple[str, ...]:
        """Methods whose map is much the same when nothing is left of the model.

        The mean over images of the correlation's size at the last stage exceeds ``limit``: what
        such a map shows is not what the model has learned.
        """
        last = self.correlation[-1].abs().nanmean(1)
        return tuple(m for m, left in zip(self.methods, last.tolist(), strict=True)
                     if left > self.limit)  # fmt: skip

    def rows(self) -> list[dict[str, Any]]:
        """One dict a stage and method: the mean over images, and whether it is flagged."""
        flagged = self.unchanged
        return [
            {
                "stage": stage,
                "method": method,
                "correlation": float(self.mean(method)[at]),
                "unchanged": method in flagged,
            }
            for at, stage in enumerate(self.stages)
            for method in self.methods
        ]

    def to_dataframe(self) -> Any:
        """:meth:`rows` as a table. Needs pandas."""
        import pandas as pd

        return pd.DataFrame(self.rows())

    def to_csv(self, path: str | Path) -> None:
        """Write :meth:`rows` as a table."""
        write_csv(path, self.rows())

    def plot(self, ax: Any = None) -> Any:
        """Correlation against the stages. Needs matplotlib."""
        from ..plot import plot_stages

        return plot_stages(self, ax)

    def summary(self) -> str:
        """What is left of each map at the first and the last stage, and what is flagged."""
        width = max(map(len, self.methods))
        lines = [f"Rank correlation with the original map, {self.correlation.shape[2]} image(s)"]
        for method in self.methods:
            values = self.mean(method)
            flag = "  UNCHANGED" if method in self.unchanged else ""
            lines.append(
                f"  {method:<{width}}  {float(values[0]):+.2f} ({self.stages[0]} random)  "
                f"{float(values[-1]):+.2f} (all random){flag}"
            )
        return "\n".join(lines)
