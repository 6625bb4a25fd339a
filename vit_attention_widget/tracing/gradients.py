"""Backward passes: each serves all layers."""

from __future__ import annotations

import torch
from torch import Tensor

from ..errors import CaptureError, UnsupportedModelError
from ..targets import Target
from .block_rows import BlockRows
from .forward_pass import ForwardPass
from .readout import Readout

__all__ = ["output_gradients", "token_gradients"]


def output_gradients(
    recorded: ForwardPass, block_rows: BlockRows, readout: Readout, target: Target
) -> list[Tensor]:
    """Gradient of the target by each layer's head outputs, [batch, head, token, head_dim].

    Raises
    ------
    CaptureError
        If the forward pass was recorded without gradients.
    """
    _check(recorded)
    outputs = [record.out for record in recorded.layers]
    with torch.inference_mode(False), torch.enable_grad():
        last = _last_block_gradients(recorded, block_rows, readout, target)
        seeded: list[tuple[Tensor, Tensor | None]]
        if last is None:
            seeded = [(target.score(recorded.logits).sum(), None)]
        else:
            by_last = zip((outputs[-1], recorded.layers[-1].input), last, strict=True)
            seeded = [(end, seed) for end, seed in by_last if end.requires_grad]
        ends, seeds = zip(*seeded, strict=True)
        gradients = torch.autograd.grad(ends, outputs, seeds, retain_graph=True, allow_unused=True)
        return [
            torch.zeros_like(record.out) if g is None else g.masked_fill(record.masked, 0)
            for g, record in zip(gradients, recorded.layers, strict=True)
        ]


def token_gradients(recorded: ForwardPass, target: Target) -> list[tuple[Tensor, Tensor | None]]:
    """Gradient of the target by each layer's tokens, [batch, token, dim].

    By the tokens after the block, and by what the block's first norm made of the tokens before it,
    None where that was not seen.

    Raises
    ------
    CaptureError
        If the forward pass was recorded without gradients, or the model does not use the tokens
        that left its blocks.
    """
    _check(recorded)
    after = [record.output for record in recorded.layers]
    normed = [record.block.normed for record in recorded.layers]
    inputs = [*after, *(z for z in normed if z is not None)]
    with torch.inference_mode(False), torch.enable_grad():
        score = target.score(recorded.logits).sum()
        gradients = torch.autograd.grad(score, inputs, retain_graph=True, allow_unused=True)
    by_after, by_normed = gradients[: len(after)], iter(gradients[len(after) :])
    pairs = []
    for layer, (by_output, z) in enumerate(zip(by_after, normed, strict=True)):
        if by_output is None:
            raise CaptureError(
                f"The logits of {recorded.model.name} were not computed from the tokens that were "
                f"seen to leave layer {layer}, so they have no gradient: use a method that "
                "needs the attention's alone (daam, gmar, relevance)."
            )
        pairs.append((by_output, None if z is None else next(by_normed)))
    return pairs


def _last_block_gradients(
    recorded: ForwardPass, block_rows: BlockRows, readout: Readout, target: Target
) -> tuple[Tensor, Tensor] | None:
    """Gradient of the target by the last block's head outputs and by its input.

    Where few tokens are read out, they alone are carried through the rest of the block again, so
    that a backward pass need not carry all the others through it. The second gradient is what
    reaches the input past the attention. None where this short way is not the model's own.
    """
    model, last = recorded.model, recorded.num_layers - 1
    if model.readout_rows is None:
        return None
    record, rows = recorded.layers[last], list(model.readout_rows)
    with recorded.rerunning():
        try:
            readout.check()
        except UnsupportedModelError:
            return None
        if not block_rows.can_finish(last):
            return None
        inputs = record.input.detach()[:, rows].requires_grad_()
        out = record.out.detach()[:, :, rows].requires_grad_()
        score = target.score(model.readout(block_rows.finish(last, inputs, out))).sum()
    by_out, by_input = torch.autograd.grad(score, (out, inputs))
    whole_out, whole_input = torch.zeros_like(record.out), torch.zeros_like(record.input)
    whole_out[:, :, rows], whole_input[:, rows] = by_out, by_input
    return whole_out.detach(), whole_input.detach()


def _check(recorded: ForwardPass) -> None:
    if not recorded.logits.requires_grad:
        raise CaptureError(
            "This trace was made without gradients: trace again with gradients=True, "
            "or use a method that needs none (attention, rollout)."
        )
