"""Backward passes of a recorded forward pass. Each yields the gradients of all layers."""

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
    """Gradient of the target with respect to each layer's head outputs.

    Returns
    -------
    list of Tensor
        One [batch, head, token, head_dim] per layer; 0 for masked heads.

    Raises
    ------
    CaptureError
        If the forward pass was recorded without gradients.
    """
    _check(recorded)
    outputs = [record.out for record in recorded.layers]
    with torch.inference_mode(False), torch.enable_grad():
        last = _last_block_gradients(recorded, block_rows, readout, target)
        starts: list[tuple[Tensor, Tensor | None]]  # where the backward pass starts, and with what
        if last is None:
            starts = [(target.score(recorded.logits).sum(), None)]
        else:
            of_last = zip((outputs[-1], recorded.layers[-1].input), last, strict=True)
            starts = [(tensor, gradient) for tensor, gradient in of_last if tensor.requires_grad]
        tensors, upstream = zip(*starts, strict=True)
        gradients = torch.autograd.grad(
            tensors, outputs, upstream, retain_graph=True, allow_unused=True
        )
        return [
            torch.zeros_like(record.out)
            if gradient is None
            else gradient.masked_fill(record.masked, 0)
            for gradient, record in zip(gradients, recorded.layers, strict=True)
        ]


def token_gradients(recorded: ForwardPass, target: Target) -> list[tuple[Tensor, Tensor | None]]:
    """Gradient of the target with respect to each layer's tokens.

    Returns
    -------
    list of (Tensor, Tensor or None)
        For each layer the gradients with respect to the tokens after the block, and with respect to
        the output of the block's first norm (None if there is no such norm), [batch, token, dim].

    Raises
    ------
    CaptureError
        If the forward pass was recorded without gradients, or the logits do not depend on the
        tokens after some block.
    """
    _check(recorded)
    after = [record.output for record in recorded.layers]
    normed = [record.block.normed for record in recorded.layers]
    tensors = [*after, *(tokens for tokens in normed if tokens is not None)]
    with torch.inference_mode(False), torch.enable_grad():
        score = target.score(recorded.logits).sum()
        gradients = torch.autograd.grad(score, tensors, retain_graph=True, allow_unused=True)
    of_after, of_normed = gradients[: len(after)], iter(gradients[len(after) :])
    pairs = []
    for layer, (gradient, tokens) in enumerate(zip(of_after, normed, strict=True)):
        if gradient is None:
            raise CaptureError(
                f"The logits of {recorded.model.name} do not depend on the tokens that layer "
                f"{layer} returned, so there is no gradient with respect to these: use a method "
                "that needs only the gradient of the attention (daam, gmar, relevance)."
            )
        pairs.append((gradient, None if tokens is None else next(of_normed)))
    return pairs


def _last_block_gradients(
    recorded: ForwardPass, block_rows: BlockRows, readout: Readout, target: Target
) -> tuple[Tensor, Tensor] | None:
    """Gradient of the target with respect to the last block's head outputs and its input.

    If only a few tokens are read out, the part of the last block after its attention is computed
    again for these alone, and the backward pass does not go through its MLP for all others. The
    gradient with respect to the input is that of the residual connection. None if the last block
    cannot be recomputed in this way.
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
    of_out, of_inputs = torch.autograd.grad(score, (out, inputs))
    all_out, all_inputs = torch.zeros_like(record.out), torch.zeros_like(record.input)
    all_out[:, :, rows], all_inputs[:, rows] = of_out, of_inputs
    return all_out.detach(), all_inputs.detach()


def _check(recorded: ForwardPass) -> None:
    if not recorded.logits.requires_grad:
        raise CaptureError(
            "This trace was recorded without gradients: trace again with gradients=True, "
            "or use a method that needs none (attention, rollout)."
        )
