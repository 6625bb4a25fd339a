"""Maps as they are made, and the comparison of those that there are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from torch import Tensor

from ..errors import ImageError
from .grid import on_finest_grid
from .result import Comparison, MapOf

__all__ = ["Gathered"]


class Gathered:
    """The maps that there are so far.

    Parameters
    ----------
    methods : sequence of str
    by_method : int
        How many maps there are to be by each method.
    of_models : bool
        Whether of several models, whose patch grids may differ.

    Attributes
    ----------
    failed : dict
        Methods that do not work with the model, with the error; they have no maps.
    """

    def __init__(self, methods: Sequence[str], by_method: int, *, of_models: bool) -> None:
        self.failed: dict[str, Exception] = {}
        self._methods, self._by_method, self._of_models = methods, by_method, of_models
        self._maps: list[tuple[MapOf, Tensor]] = []

    def add(self, item: MapOf, values: Tensor) -> None:
        """Keep a map."""
        self._maps.append((item, values.detach().float().cpu()))

    def so_far(self) -> Comparison | None:
        """All maps that can be compared; None of none."""
        return self.comparison() if self._kept() and self._of_one_size() else None

    def comparison(self) -> Comparison:
        """All maps.

        Raises
        ------
        ImageError
            If the images differ in size.
        Exception
            The first method's error, if all failed.
        """
        kept = self._kept()
        if not kept:
            raise next(iter(self.failed.values()))
        if not self._of_one_size():
            raise ImageError(
                "After preprocessing the images differ in size, and so do their patch grids: "
                "compare images of one size."
            )
        kept.sort(key=lambda pair: pair[0].image)  # all images of a trace come with each method
        reasons = {method: str(error) for method, error in self.failed.items()}
        grids = on_finest_grid([values for _, values in kept])
        comparison = Comparison.of(grids, [item for item, _ in kept], reasons)
        methods = [method for method in self._methods if method not in self.failed]
        total = self._by_method * len(methods)
        return replace(comparison, total=total, ongoing=len(kept) < total)

    def _kept(self) -> list[tuple[MapOf, Tensor]]:
        return [pair for pair in self._maps if pair[0].method not in self.failed]

    def _of_one_size(self) -> bool:
        return self._of_models or len({values.shape for _, values in self._kept()}) == 1
