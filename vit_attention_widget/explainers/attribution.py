"""What every explainer returns."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from ..errors import ParameterError
from ..tracing.trace import Trace

__all__ = ["Attribution", "attribution"]


@dataclass(frozen=True)
class Attribution:
    """A map for each layer: how the explanation stands after that layer.

    Attributes
    ----------
    values : Tensor
        [batch, layer, row, col], not normalised for display.
    method : str
        Name of the explainer.
    target : str
        What was explained; ``"any class"`` for methods that know no target.
    """

    values: Tensor
    method: str
    target: str

    @property
    def final(self) -> Tensor:
        """The map after the last layer, [batch, row, col]."""
        return self.values[:, -1]

    def upsample(self, size: tuple[int, int], mode: str = "bilinear") -> Tensor:
        """The final map at (height, width) pixels, [batch, height, width].

        ``mode`` is ``"bilinear"`` or ``"nearest"``.
        """
        if mode not in ("bilinear", "nearest"):
            raise ParameterError(f"The mode is {mode!r}: choose 'bilinear' or 'nearest'.")
        corners = False if mode == "bilinear" else None
        maps = F.interpolate(self.final[:, None], size=size, mode=mode, align_corners=corners)
        return maps[:, 0]


def attribution(
    trace: Trace, layers: list[Tensor], method: str, *, by_class: bool = True
) -> Attribution:
    """Fold one [batch, token] tensor a layer into an :class:`Attribution`."""
    values = trace.tokens.to_grid(torch.stack(layers, 1).detach())
    return Attribution(values, method, trace.target.name if by_class else "any class")
