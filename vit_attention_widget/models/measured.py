"""How a model lays out its tokens and reads them out, measured on what surrounds its blocks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ..capture.function_mode import Capture
from ..errors import UnsupportedModelError
from .skeleton import Run, Skeleton

__all__ = [
    "MeasuredReadout",
    "counts_do_not_matter",
    "measure_prefix",
    "measure_readout",
    "rows_of",
    "rows_that_matter",
]


@dataclass(frozen=True)
class MeasuredReadout:
    """What becomes of the tokens after the last block.

    Attributes
    ----------
    kind : {"class", "mean", "attention_pool", "max"}
    rows : tuple of int
        The tokens that are read.
    size : int
        Length of what is returned.
    """

    kind: str
    rows: tuple[int, ...]
    size: int


def measure_prefix(skeleton: Skeleton, run: Run, patches: nn.Conv2d, name: str) -> int:
    """Number of tokens before the patches: it is marked patches that show where they go.

    Raises
    ------
    UnsupportedModelError
        If the tokens are not some prefix tokens and then all patches, row by row, or if the blocks
        do not run one after the other.
    """
    rows, cols = skeleton.grid
    weight = patches.weight
    embedded = weight.new_zeros(4, patches.out_channels, rows, cols)
    noise = torch.linspace(-1, 1, patches.out_channels).to(weight) ** 3
    marked = [0, min(1, rows * cols - 1), rows * cols - 1]
    for image, patch in enumerate(marked, start=1):
        embedded[image, :, patch // cols, patch % cols] = noise
    tokens = skeleton.entering(run, embedded)[0]
    shape = list(tokens.shape)
    if tokens.ndim != 3:
        raise UnsupportedModelError(
            f"The blocks of {name} take {shape}, not [batch, token, dim]: attention over windows "
            "or maps of features is not one sequence of tokens."
        )
    if shape[0] != 4 and shape[1] == 4:
        raise UnsupportedModelError(
            f"The blocks of {name} take [token, batch, dim] = {shape}. Where the model can be "
            "built so, use batch_first=True."
        )
    changed = [
        (tokens[image] != tokens[0]).any(-1).nonzero().flatten().tolist() for image in (1, 2, 3)
    ]
    prefix = shape[1] - rows * cols
    if shape[0] != 4 or prefix < 0 or changed != [[prefix + patch] for patch in marked]:
        raise UnsupportedModelError(
            f"The tokens of {name} are not its patches row by row after some prefix tokens: of "
            f"{shape[1]} tokens for {rows} x {cols} patches, the first patch becomes "
            f"{changed[0]}, the last {changed[2]}."
        )
    return prefix


def measure_readout(
    readout: Callable[[Tensor], Any], model: nn.Module, shape: Sequence[int]
) -> MeasuredReadout | None:
    """Which tokens are read, by their gradient; None if the output is not [batch, something].

    Parameters
    ----------
    readout : callable
        What is made of tokens [batch, token, dim].
    model : nn.Module
    shape : sequence of int
        Of the tokens, [token, dim].
    """
    parameter = next(model.parameters())
    generator = torch.Generator().manual_seed(0)
    with torch.inference_mode(False), torch.enable_grad():
        tokens = torch.randn(2, *shape, generator=generator).to(parameter).requires_grad_()
        with Capture(model, {}) as capture:
            output = readout(tokens)
        if not isinstance(output, Tensor) or output.ndim != 2 or len(output) != 2:
            return None
        weights = torch.randn(output.shape[1], generator=generator).to(output)
        pools = [call.out for call in capture.attention_calls if call.out.requires_grad]
        gradient, *pooled = torch.autograd.grad(
            (output * weights).sum(), [tokens, *pools], allow_unused=True
        )
    if gradient is None:  # quantized layers pass none
        rows = rows_that_matter(readout, tokens)
        return MeasuredReadout("mean", rows, output.shape[1])
    rows = rows_of(gradient)
    if any(g is not None for g in pooled):
        kind = "attention_pool"
    else:
        kind = "max" if len(rows) > 1 and counts_do_not_matter(readout, tokens, rows) else "mean"
    return MeasuredReadout(kind, rows, output.shape[1])


def counts_do_not_matter(
    readout: Callable[[Tensor], Any], tokens: Tensor, rows: Sequence[int]
) -> bool:
    """Whether one token of a kind among many counts as much as many do, as in a maximum."""
    one, other = tokens.detach()[:, rows[-1]]
    mixed = one.expand_as(tokens).clone()
    mixed[0, rows[-1]] = other
    mixed[1, :] = other
    mixed[1, rows[-1]] = one
    with torch.no_grad():
        few, many = readout(mixed)
    return torch.allclose(few, many, rtol=1e-3, atol=1e-5)


def rows_of(gradient: Tensor) -> tuple[int, ...]:
    """The tokens that a gradient [batch, token, dim] reaches."""
    rows: list[int] = (gradient != 0).any(-1).any(0).nonzero().flatten().tolist()
    return tuple(rows)


def rows_that_matter(readout: Callable[[Tensor], Any], tokens: Tensor) -> tuple[int, ...]:
    """Which tokens change what is read if they are changed."""
    first, others = tokens.detach()[:1], tokens.detach()[1:]
    with torch.no_grad():
        before = readout(first)
        rows = []
        for row in range(tokens.shape[1]):
            changed = first.clone()
            changed[:, row] = others[:, row]
            if not torch.allclose(readout(changed), before, rtol=1e-4, atol=1e-6):
                rows.append(row)
    return tuple(rows)
