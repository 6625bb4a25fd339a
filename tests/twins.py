"""A tiny model traced by the package, beside the same model run by hand."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import torch
from models import BY_NAME, TinyModel
from reference.explicit import ExplicitViT, Record
from torch import Tensor, nn

import vit_attention_widget as vaw

TARGET = [1, 3]


@dataclass(frozen=True)
class Twins:
    """Both sides in float64, on the same inputs and the same target."""

    tiny: TinyModel
    model: nn.Module
    inputs: Tensor
    trace: vaw.Trace
    vit: ExplicitViT
    record: Record


@cache
def twins(name: str) -> Twins:
    """Both sides of a model of the table, made once."""
    tiny = BY_NAME[name]
    model, inputs = tiny.build(), tiny.inputs()
    vit = ExplicitViT(model)
    return Twins(tiny, model, inputs, vaw.trace(model, inputs, TARGET), vit, vit(inputs))


def agree(ours: Tensor, literal: Tensor, tolerance: float = 1e-10) -> None:
    """Both are equal to `tolerance`, relative to the largest value."""
    literal = literal.detach()
    scale = float(literal.abs().max()) or 1.0
    torch.testing.assert_close(
        ours.detach().double(), literal.reshape(ours.shape), rtol=0, atol=tolerance * scale
    )
