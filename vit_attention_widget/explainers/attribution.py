"""What every explainer returns."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor

from ..errors import ParameterError
from ..models.map_area import WHOLE, Area, lay_over
from ..results.drawing import axes_or_new
from ..results.heat_map import heat_maps
from ..results.html import block
from ..results.named_values import NamedValues
from ..results.storage import JsonObject
from ..tracing.trace import Trace

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Attribution"]

_ANY_CLASS = "any class"
"""The target of maps that are the same for every class."""
_MAPS = 24
"""At most so many layers in a notebook's picture."""


@dataclass(frozen=True, eq=False)
class Attribution(NamedValues):
    """A map for each layer: how the explanation stands after that layer.

    Attributes
    ----------
    values : Tensor
        [image, layer, row, col], in the method's own units.
    method : str
        Name of the explainer.
    target : str
        What was explained; ``"any class"`` for class-agnostic methods.
    class_agnostic : bool
        Whether the maps are the same for every target.
    area : tuple of float
        Where the patches lie: top, left, bottom and right, as shares of the height and width of the
        model's input. (0, 0, 1, 1) unless the model pads its input (a side is below 0 or above 1
        then) or leaves out its edge.
    """

    kind = "attribution"
    axes = ("image", "layer", "row", "col")

    values: Tensor = field(repr=False)
    method: str
    target: str = _ANY_CLASS
    class_agnostic: bool = False
    area: Area = WHOLE

    @classmethod
    def from_layers(
        cls, trace: Trace, layers: list[Tensor], method: str, *, class_agnostic: bool = False
    ) -> Attribution:
        """Maps from one tensor [image, token] a layer; prefix tokens are dropped."""
        values = trace.tokens.to_grid(torch.stack(layers, 1).detach())
        target = _ANY_CLASS if class_agnostic else trace.target.name
        return cls(values, method, target, class_agnostic, trace.tokens.area)

    @classmethod
    def of_whole_model(cls, trace: Trace, grids: Tensor, method: str) -> Attribution:
        """The same map [image, row, col] after every layer: of methods that know no layers."""
        values = grids.detach()[:, None].repeat(1, trace.num_layers, 1, 1)
        return cls(values, method, trace.target.name, area=trace.tokens.area)

    @classmethod
    def _from_parts(cls, tensors: dict[str, Tensor], about: JsonObject) -> Attribution:
        """Files of earlier releases say that a map is class-agnostic by the target alone."""
        of_any_class = about.get("target") == _ANY_CLASS
        area = tuple(about.get("area", WHOLE))
        about = {"class_agnostic": of_any_class, **about, "area": area}
        return super()._from_parts(tensors, about)

    @property
    def final(self) -> Tensor:
        """The map after the last layer, [image, row, col]."""
        return self.values[:, -1]

    def upsample(
        self, size: tuple[int, int], mode: Literal["bilinear", "nearest"] = "bilinear"
    ) -> Tensor:
        """The final map over the picture at (height, width) pixels, [image, height, width].

        Each patch lies where the model takes it from, which :attr:`area` says: a model may pad its
        input, leave out its edge, or let patches overlap. Pixels that no patch holds have the value
        of the nearest.

        Parameters
        ----------
        size : (int, int)
            Of the model's input, or of the same picture at another resolution.
        mode : {"bilinear", "nearest"}
        """
        if mode not in ("bilinear", "nearest"):
            raise ParameterError(f"The mode is {mode!r}: choose 'bilinear' or 'nearest'.")
        return lay_over(self.final, size, self.area, mode)

    def plot(self, ax: Axes | None = None, *, image: int = 0, layer: int = -1) -> Axes:
        """Draw the map of an image after a layer. Needs matplotlib.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
        image, layer : int
            Negative ones count from the end.

        Returns
        -------
        matplotlib.axes.Axes

        Raises
        ------
        ParameterError
            If there is no such image or layer, or matplotlib is not installed.
        """
        images, layers = self.values.shape[:2]
        for name, index, size in (("image", image, images), ("layer", layer, layers)):
            if not -size <= index < size:
                raise ParameterError(
                    f"There is no {name} {index}: the maps have {size}, 0 to {size - 1}."
                )
        ax = axes_or_new(ax)
        drawn = ax.imshow(self.values[image, layer].float().cpu().numpy(), cmap="viridis")
        ax.figure.colorbar(drawn, ax=ax, label=self.method)
        ax.set(title=self.target, xticks=[], yticks=[])
        return ax

    def _repr_html_(self) -> str:
        layers = [f"layer {layer}" for layer in range(self.values.shape[1])]
        title = f"{self.method}, {self.target}: {self._title()}"
        return block(title, heat_maps(self.values[0], layers, limit=_MAPS))
