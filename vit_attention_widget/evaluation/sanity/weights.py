"""A copy of a model that forgets what it has learned, layer by layer."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import nn

from ...errors import ParameterError, UnsupportedModelError
from ...models import VisionTransformer, describe
from ...models.text_prompts import ZeroShot
from ...tracing.run import trace
from ...tracing.trace import Trace

__all__ = ["copied", "kept_target", "randomize_weights"]


def copied(
    vit: VisionTransformer,
    original: Trace,
    describe_copy: Callable[[nn.Module], VisionTransformer] | None,
) -> VisionTransformer:
    """A deep copy of the model with a description of its own that says the same."""
    model = copy.deepcopy(vit.model)
    advice = (
        f"The description of {vit.name} belongs to the model itself, and a copy of the model must "
        "forget: give describe_copy=lambda copy: vaw.adapt(copy, ...)."
    )
    try:
        found = (describe_copy or describe)(model)
    except UnsupportedModelError as error:
        raise ParameterError(advice) from error
    if isinstance(vit, ZeroShot):
        found = ZeroShot(found, vit.class_names or (), vit._texts, vit._scale)
    before = original.logits
    after = trace(found, original.inputs, kept_target(original), gradients=False).logits
    own = {id(parameter) for parameter in model.parameters()}
    same = before.shape == after.shape and torch.allclose(before, after, rtol=1e-3, atol=1e-3)
    if not same or {id(p) for block in found.blocks for p in block.parameters()} - own:
        raise ParameterError(advice)
    return found


def kept_target(original: Trace) -> Any:
    """The target: a class stays that class, where a random model would predict another."""
    return original.target if original.target.index is None else original.target.index


def randomize_weights(vit: VisionTransformer, found: Trace, seed: int) -> Iterator[str]:
    """Draw the weights of a copy anew, from the readout down; yields what has just forgotten."""
    generator = torch.Generator().manual_seed(seed)
    done: set[int] = set()

    def draw(parameters: list[nn.Parameter]) -> None:
        for parameter in parameters:
            if id(parameter) in done or not parameter.is_floating_point():
                continue
            done.add(id(parameter))
            wide = parameter.detach().cpu().double()
            drawn = torch.randn(wide.shape, generator=generator, dtype=torch.float64)
            fresh = wide.mean() + wide.std(correction=0) * drawn
            parameter.data.copy_(fresh.to(parameter.dtype))

    draw(_readout_parameters(vit, found))
    yield "readout"
    for layer in reversed(range(vit.num_layers)):
        draw(list(vit.blocks[layer].parameters()))
        yield f"layer {layer}"
    draw(list(vit.model.parameters()))
    yield "embedding"


def _readout_parameters(vit: VisionTransformer, found: Trace) -> list[nn.Parameter]:
    """Those that move the logits when the tokens after the last block stay as they are."""
    inside = {id(p) for block in vit.blocks for p in block.parameters()}
    outside = [p for p in vit.model.parameters() if id(p) not in inside and p.is_floating_point()]
    for parameter in outside:
        parameter.requires_grad_(True)
    with torch.inference_mode(False), torch.enable_grad():
        logits = vit.readout(found.layers[-1].output.detach().clone())
        if not logits.requires_grad:  # it has no weights, or those of another model
            return []
        moved = torch.autograd.grad(logits.sum(), outside, allow_unused=True)
    return [p for p, gradient in zip(outside, moved, strict=True) if gradient is not None]
