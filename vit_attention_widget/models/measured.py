"""How a model lays out its tokens and reads them out, measured on what surrounds its blocks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..capture.function_mode import Capture
from ..errors import UnsupportedModelError
from .skeleton import Run, Skeleton

__all__ = [
    "MeasuredReadout",
    "counts_do_not_matter",
    "is_made_for_inference",
    "measure_prefix",
    "measure_readout",
    "rows_of",
    "rows_that_matter",
    "sum_by_chance",
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


def is_made_for_inference(model: nn.Module) -> bool:
    """Whether weights were made under ``torch.inference_mode()``: none has a gradient then."""
    return any(t.is_inference() for t in (*model.parameters(), *model.buffers()))


def measure_prefix(
    skeleton: Skeleton, run: Run[object], patches: nn.Conv2d, name: str
) -> tuple[int, bool]:
    """Number of tokens before the patches, by marked patches, and whether tokens come first.

    Returns
    -------
    count : int
    token_first : bool
        Whether the blocks take [token, batch, dim].

    Raises
    ------
    UnsupportedModelError
        If the tokens are not some prefix tokens and then all patches, row by row.
    """
    rows, cols = skeleton.grid
    weight = patches.weight
    embedded = weight.new_zeros(4, patches.out_channels, rows, cols)
    noise = torch.linspace(-1, 1, patches.out_channels).to(weight) ** 3
    marked = [0, min(1, rows * cols - 1), rows * cols - 1]
    for image, patch in enumerate(marked, start=1):
        embedded[image, :, patch // cols, patch % cols] = noise
    tokens = skeleton.entering(run, embedded)[0]
    if tokens.ndim != 3:
        raise UnsupportedModelError(
            f"The blocks of {name} take {list(tokens.shape)}, not [batch, token, dim]: attention "
            "over windows or maps of features is not one sequence of tokens."
        )
    for token_first, turned in ((False, tokens), (True, tokens.transpose(0, 1))):
        prefix = turned.shape[1] - rows * cols
        expected = [[prefix + patch] for patch in marked]
        if len(turned) == len(embedded) and prefix >= 0 and _changed(turned) == expected:
            return prefix, token_first
    turned = tokens if len(tokens) == len(embedded) else tokens.transpose(0, 1)
    first, _, last = _changed(turned)
    raise UnsupportedModelError(
        f"The tokens of {name} are not its patches row by row after some prefix tokens: of "
        f"{turned.shape[1]} tokens for {rows} x {cols} patches, the first patch becomes {first}, "
        f"the last {last}."
    )


def _changed(tokens: Tensor) -> list[list[int]]:
    """Tokens [image, token, dim] in which each image but the first differs from that."""
    differ = (tokens[1:] != tokens[:1]).any(-1)
    return [row.nonzero().flatten().tolist() for row in differ][:3]


def measure_readout(
    readout: Callable[[Tensor], Tensor], model: nn.Module, shape: Sequence[int]
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
    with torch.inference_mode(False), torch.set_grad_enabled(not is_made_for_inference(model)):
        noise = torch.randn(2, *shape, generator=torch.Generator().manual_seed(0))
        tokens = noise.to(parameter).requires_grad_()
        with Capture(model, {}) as capture:
            output = readout(tokens)
        if not isinstance(output, Tensor) or output.ndim != 2 or len(output) != 2:
            return None
        if is_made_for_inference(model):
            rows = rows_that_matter(readout, tokens)
            kind = "attention_pool" if capture.attention_calls else "mean"
            return MeasuredReadout(kind, rows, output.shape[1])
        pools = [call.out for call in capture.attention_calls if call.out.requires_grad]
        gradient, *pooled = torch.autograd.grad(
            sum_by_chance(output), [tokens, *pools], allow_unused=True
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
    readout: Callable[[Tensor], Tensor], tokens: Tensor, rows: Sequence[int]
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


def sum_by_chance(logits: Tensor) -> Tensor:
    """A sum of all logits with weights by chance, the same each time, so that nothing cancels."""
    weights = torch.randn(logits.shape[1], generator=torch.Generator().manual_seed(0))
    return (logits * weights.to(logits)).sum()


def rows_of(gradient: Tensor) -> tuple[int, ...]:
    """The tokens that a gradient [batch, token, dim] reaches."""
    rows: list[int] = (gradient != 0).any(-1).any(0).nonzero().flatten().tolist()
    return tuple(rows)


def rows_that_matter(readout: Callable[[Tensor], Tensor], tokens: Tensor) -> tuple[int, ...]:
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
