"""Which model something was learned from."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from ..errors import ParameterError
from ..results.storage import JsonObject
from .libraries import describe
from .vision_transformer import VisionTransformer

__all__ = ["ModelFingerprint", "fingerprint"]

_SAMPLES = 16
"""Values of each parameter that are compared."""


@dataclass(frozen=True)
class ModelFingerprint:
    """A model by name, heads of each layer, and a few values of every weight."""

    name: str
    num_heads: tuple[int, ...]
    samples: Tensor = field(repr=False, compare=False)

    @classmethod
    def read(cls, about: JsonObject, samples: Tensor) -> ModelFingerprint:
        """A fingerprint out of a file; raises :class:`ValueError` if it is none."""
        name, num_heads = about["name"], tuple(about["num_heads"])
        whole = all(type(count) is int for count in num_heads)
        if not isinstance(name, str) or not whole or not samples.is_floating_point():
            raise ValueError("it does not say of which model it was made")
        return cls(name, num_heads, samples)

    def check(
        self,
        model: nn.Module | VisionTransformer,
        what: str = "These patterns were learned",
        advice: str = "Fit them on yours.",
    ) -> None:
        """Raise :class:`ParameterError` unless it is this model, in whatever precision.

        ``what`` begins the message: what was made of the model; ``advice`` ends it.
        """
        other = fingerprint(model)
        if other.num_heads != self.num_heads:
            why = f"it has {sum(self.num_heads)} heads, yours {sum(other.num_heads)}"
        elif other.samples.shape != self.samples.shape:
            why = "its layers have other sizes"
        elif not torch.allclose(other.samples, self.samples, rtol=0.02, atol=1e-4):
            why = "the weights differ"
        else:
            return
        raise ParameterError(
            f"{what} of another model ({self.name}; yours is {other.name}): {why}. {advice}"
        )


def fingerprint(model: nn.Module | VisionTransformer) -> ModelFingerprint:
    """The fingerprint of a model."""
    vit = describe(model)
    samples = []
    for _, value in sorted(vit.model.named_parameters()):
        flat = value.detach().flatten()
        samples.append(flat[:: max(1, flat.numel() // _SAMPLES)][:_SAMPLES].float().cpu())
    return ModelFingerprint(vit.name, tuple(vit.num_heads), torch.cat(samples))
