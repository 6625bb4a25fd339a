"""What each layer would decide."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from torch import Tensor

from ..errors import ParameterError
from ..models.output_kind import OutputKind
from ..results.heat_map import heat_maps
from ..results.html import block
from ..results.named_values import NamedValues, Variable

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["LogitLens"]

_MAPS = 24
"""At most so many layers in a notebook's picture."""


@dataclass(frozen=True, eq=False)
class LogitLens(NamedValues):
    """What each layer, and each token in it, would decide.

    Attributes
    ----------
    values : Tensor
        [image, layer, token, rank]: the most probable classes' probabilities (by the model's kind
        of output), the largest first. Token 0 is what the layer as a whole would decide.
    classes : Tensor
        [image, layer, token, rank]: their numbers.
    target_values : Tensor
        [image, layer, token]: the probability of the target, or its value where it is no class.
    decisions : Tensor
        [image, layer, class]: what each layer as a whole would decide, all classes by number.
    target : str
        What that is.
    tokens : tuple of str
        Names of the tokens: ``"readout"``, then the prefix tokens and patches.
    class_names : tuple of (int, str)
        Names of the classes that occur.
    grid : (int, int)
        Rows and columns of the patches.
    output : {"softmax", "sigmoid", "value"}
        What the values are.
    """

    kind = "logit lens"
    axes = ("image", "layer", "token", "rank")

    values: Tensor = field(repr=False)
    classes: Tensor = field(repr=False)
    target_values: Tensor = field(repr=False)
    decisions: Tensor = field(repr=False)
    target: str
    tokens: tuple[str, ...] = field(repr=False)
    class_names: tuple[tuple[int, str], ...] = field(repr=False)
    grid: tuple[int, int]
    output: OutputKind

    @cached_property
    def _names(self) -> dict[int, str]:
        return dict(self.class_names)

    @property
    def patches(self) -> Tensor:
        """The target's probability by each patch, [image, layer, row, col].

        Raises
        ------
        ParameterError
            If only layers were read out.
        """
        if len(self.tokens) == 1:
            raise ParameterError("Only layers were read out: use logit_lens(..., tokens=True).")
        rows, cols = self.grid
        patches: Tensor = self.target_values[:, :, -rows * cols :].unflatten(-1, (rows, cols))
        return patches

    def best(self, image: int = 0, token: int = 0) -> list[str]:
        """The name of the most probable class after each layer."""
        return [self._names[i] for i in self.classes[image, :, token, 0].tolist()]

    def plot(self, ax: Axes | None = None, *, image: int = 0, token: int = 0) -> Axes:
        """Draw what an image's readout decides, layer by layer. Needs matplotlib.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
        image : int
        token : int
            0 for the layer as a whole, then the tokens in their order.

        Returns
        -------
        matplotlib.axes.Axes

        Raises
        ------
        ParameterError
            If there is no such image or token, or matplotlib is not installed.
        """
        from .plot import plot_decisions

        images, _, tokens, _ = self.values.shape
        for name, index, size in (("image", image, images), ("token", token, tokens)):
            if not -size <= index < size:
                raise ParameterError(f"There is no {name} {index}: there are {size}.")
        return plot_decisions(
            self.values[image, :, token, 0],
            self.best(image, token),
            self.target_values[image, :, token],
            self.target,
            self.tokens[token],
            "value" if self.output == "value" else "probability",
            ax,
        )

    def _variables(self) -> Mapping[str, Variable]:
        return {
            "value": Variable(self.axes, self.values),
            "class": Variable(self.axes, self.classes),
            "target": Variable(self.axes[:3], self.target_values),
        }

    def _coords(self) -> Mapping[str, Sequence[object]]:
        return {"token": self.tokens}

    def _repr_html_(self) -> str:
        if len(self.tokens) == 1:
            return super()._repr_html_()
        titles = [f"layer {i}: {name}" for i, name in enumerate(self.best())]
        maps = heat_maps(self.patches[0], titles, limit=_MAPS)
        return block(f"{self._title()}; {self.target}", maps)
