"""Backward passes of a trace: each serves all layers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ..errors import CaptureError
from .readout import last_block_gradients

if TYPE_CHECKING:
    from .trace import Trace

__all__ = ["output_gradients", "token_gradients"]


def output_gradients(trace: Trace) -> list[Tensor]:
    """Gradient of the target by each layer's head outputs, [batch, head, token, head_dim].

    Raises
    ------
    CaptureError
        If the trace was made without gradients.
    """
    _check(trace)
    outputs = [record.out for record in trace.layers]
    with torch.inference_mode(False), torch.enable_grad():
        short = last_block_gradients(trace)
        pairs: list[tuple[Tensor, Tensor | None]]
        if short is None:
            pairs = [(trace.score.sum(), None)]
        else:
            given = zip((outputs[-1], trace.layers[-1].input), short, strict=True)
            pairs = [(end, seed) for end, seed in given if end.requires_grad]
        ends, seeds = zip(*pairs, strict=True)
        found = torch.autograd.grad(ends, outputs, seeds, retain_graph=True, allow_unused=True)
        return [
            torch.zeros_like(record.out) if g is None else g.masked_fill(record.silent, 0)
            for g, record in zip(found, trace.layers, strict=True)
        ]


def token_gradients(trace: Trace) -> list[tuple[Tensor, Tensor | None]]:
    """Gradient of the target by each layer's tokens, [batch, token, dim].

    By the tokens after the block, and by what the block's first norm made of the tokens before it,
    None where that was not seen.

    Raises
    ------
    CaptureError
        If the trace was made without gradients, or the model does not use the tokens it showed.
    """
    _check(trace)
    after = [record.output for record in trace.layers]
    normed = [record.block.normed for record in trace.layers]
    inputs = [*after, *(z for z in normed if z is not None)]
    with torch.inference_mode(False), torch.enable_grad():
        found = torch.autograd.grad(trace.score.sum(), inputs, retain_graph=True, allow_unused=True)
    by_normed = iter(found[len(after) :])
    pairs = []
    for layer, (by_output, z) in enumerate(zip(found[: len(after)], normed, strict=True)):
        if by_output is None:
            raise CaptureError(
                f"The logits of {trace.model.name} were not computed from the tokens that were "
                f"seen to leave layer {layer}, so they have no gradient: use a method that "
                "needs the attention's alone (daam, gmar, relevance)."
            )
        pairs.append((by_output, None if z is None else next(by_normed)))
    return pairs


def _check(trace: Trace) -> None:
    if not trace.has_gradients:
        raise CaptureError(
            "This trace was made without gradients: trace again with gradients=True, "
            "or use a method that needs none (attention, rollout)."
        )
