"""A copy of a model whose weights are randomized layer by layer."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator

import torch
from torch import nn

from ...errors import ImageError, ParameterError, UnsupportedModelError
from ...models import VisionTransformer, describe
from ...models.of_copy import as_of_original
from ...targets import Target
from ...tracing.run import trace
from ...tracing.trace import Trace

__all__ = ["copied", "kept_target", "randomize_weights"]


def copied(
    vit: VisionTransformer,
    original: Trace,
    describe_copy: Callable[[nn.Module], VisionTransformer] | None,
) -> VisionTransformer:
    """A deep copy of the model, with a description of its own that gives the same logits.

    Raises
    ------
    ParameterError
        If the description holds on to the original model, or weights are quantized.
    """
    whole = next(_whole_numbers(vit.model), None)
    if whole is not None:
        raise ParameterError(
            f"The weights of {vit.name} at {whole!r} are whole numbers (int8), of which none can "
            "be drawn at random: give the model as it was before it was quantized."
        )
    model = copy.deepcopy(vit.model)
    advice = (
        f"The description of {vit.name} holds on to the model itself, but the weights of a copy "
        "are randomized: give describe_copy=lambda copy: vaw.adapt(copy, ...)."
    )
    try:
        described = (describe_copy or describe)(model)
    except UnsupportedModelError as error:
        raise ParameterError(advice) from error
    described = as_of_original(described, vit)
    try:
        again = trace(
            described,
            original.inputs,
            kept_target(original),
            head_mask=original.head_mask,
            gradients=False,
        )
    except ImageError as error:  # what was found of the copy is of another size
        raise ParameterError(advice) from error
    before, after = original.logits, again.logits
    same = before.shape == after.shape and torch.allclose(before, after, rtol=1e-3, atol=1e-3)
    of_copy = {id(parameter) for parameter in model.parameters()}
    in_blocks = {id(p) for block in described.blocks for p in block.parameters()}
    if not same or in_blocks - of_copy:
        raise ParameterError(advice)
    return described


def _whole_numbers(model: nn.Module) -> Iterator[str]:
    """Where weights that are multiplied are no floating point numbers."""
    for path, parameter in model.named_parameters():
        if parameter.ndim > 1 and not (parameter.is_floating_point() or parameter.is_complex()):
            yield path
    for path, value in model.state_dict().items():
        parts = value if isinstance(value, list | tuple) else [value]
        if any(isinstance(part, torch.Tensor) and part.is_quantized for part in parts):
            yield path


def kept_target(original: Trace) -> Target | tuple[int, ...]:
    """The target of the original, where a randomized model would predict another class."""
    return original.target if original.target.index is None else original.target.index


def randomize_weights(vit: VisionTransformer, trace: Trace, seed: int) -> Iterator[str]:
    """Draw the weights of a copy anew, from the readout down; yields what was drawn last.

    Parameters
    ----------
    vit : VisionTransformer
        The copy.
    trace : Trace
        Of the original model.
    seed : int
        The global random state is not touched.
    """
    generator = torch.Generator().manual_seed(seed)
    done: set[int] = set()

    def draw(parameters: list[nn.Parameter]) -> None:
        for parameter in parameters:
            if id(parameter) in done or not parameter.is_floating_point():
                continue
            done.add(id(parameter))
            wide = parameter.detach().cpu().double()
            normal = torch.randn(wide.shape, generator=generator, dtype=torch.float64)
            drawn = wide.mean() + wide.std(correction=0) * normal
            parameter.data.copy_(drawn.to(parameter.dtype))

    draw(_readout_parameters(vit, trace))
    yield "readout"
    for layer in reversed(range(vit.num_layers)):
        draw(list(vit.blocks[layer].parameters()))
        yield f"layer {layer}"
    draw(list(vit.model.parameters()))
    yield "embedding"


def _readout_parameters(vit: VisionTransformer, trace: Trace) -> list[nn.Parameter]:
    """Those on which the logits depend when the tokens after the last block are fixed."""
    in_blocks = {id(p) for block in vit.blocks for p in block.parameters()}
    outside = [p for p in vit.model.parameters() if id(p) not in in_blocks]
    outside = [p for p in outside if p.is_floating_point()]
    for parameter in outside:
        parameter.requires_grad_(True)
    with torch.inference_mode(False), torch.enable_grad():
        logits = vit.readout(trace.layers[-1].output.detach().clone())
        if not logits.requires_grad:  # it has no weights, or those of another model
            return []
        gradients = torch.autograd.grad(logits.sum(), outside, allow_unused=True)
    return [p for p, gradient in zip(outside, gradients, strict=True) if gradient is not None]
