"""From a layer's tokens to what the model makes of them, at the price of the rows that count."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from ..capture.function_mode import rerun_block
from ..errors import UnsupportedModelError

if TYPE_CHECKING:
    from .trace import Trace

__all__ = [
    "attend_rows",
    "check_readout",
    "finish_block",
    "finishes_rows",
    "last_block_gradients",
    "readout_queries",
    "readout_weights",
]


def readout_queries(trace: Trace) -> list[int]:
    """Tokens whose attention feeds the readout: the class token, or all patches without one."""
    if trace.model.readout_kind == "class":
        return [0]
    return list(range(trace.tokens.num_prefix, trace.tokens.num_tokens))


def readout_weights(trace: Trace) -> Tensor:
    """How much each token enters the readout, [batch, token], summing to 1.

    The class token alone; the mean over patches; or the attention of the pooling's own latent
    query, averaged over its heads.
    """
    batch, count = trace.batch_size, trace.tokens.num_tokens
    weights = trace.layers[0].q.new_zeros(batch, count)
    if trace.model.readout_kind == "attention_pool":
        pooled = pool_attention(trace).mean(1)
        weights[:, count - pooled.shape[-1] :] = pooled  # a pool may leave the prefix tokens out
        return weights
    queries = readout_queries(trace)
    weights[:, queries] = 1 / len(queries)
    return weights


def pool_attention(trace: Trace) -> Tensor:
    """Attention of the pooling's first latent query, [batch, head, key]."""
    call = trace.pool
    if call is None:
        raise UnsupportedModelError(
            f"{trace.model.name} reads out by attention pooling, but no such attention was seen."
        )
    scores = (call.q[:, :, 0:1] * call.scale) @ call.k.transpose(-2, -1)
    return scores.detach().softmax(-1)[:, :, 0]


def finish_block(
    trace: Trace, layer: int, head_outputs: Tensor, rows: list[int] | None = None
) -> Tensor:
    """Tokens after a block, given other head outputs than it computed itself.

    Parameters
    ----------
    layer : int
    head_outputs : Tensor
        [batch, head, row, head_dim]; its batch may be a multiple of the trace's.
    rows : list of int, optional
        The tokens that ``head_outputs`` holds; all by default.

    Returns
    -------
    Tensor
        [batch, row, dim].
    """
    block, record = trace.model.blocks[layer], trace.layers[layer]
    if finishes_rows(trace, layer):
        inputs = record.input if rows is None else record.input[:, rows]
        if head_outputs.shape[0] != inputs.shape[0]:
            inputs = inputs.repeat(head_outputs.shape[0] // inputs.shape[0], 1, 1)
        finished = trace.model.finish_block(block, inputs.detach(), head_outputs)
        assert finished is not None
        return finished
    if rows is not None:
        full = record.out.detach().repeat(head_outputs.shape[0] // trace.batch_size, 1, 1, 1)
        head_outputs = full.index_copy(2, torch.tensor(rows, device=full.device), head_outputs)
    finished = rerun_block(trace.model.model, block, record.block, head_outputs)
    return finished if rows is None else finished[:, rows]


def check_readout(trace: Trace) -> None:
    """Make sure that blocks, norm and head are all that the model does after its attention.

    Raises
    ------
    UnsupportedModelError
        If the last layer's tokens, read out, are not the model's own logits.
    """
    if trace.readout_checked:
        return
    with torch.no_grad():
        found = trace.model.readout(trace.layers[-1].output)
    tolerance = 1e-3 if found.dtype in (torch.float32, torch.float64) else 5e-2
    error = (found - trace.logits).abs().max() if found.shape == trace.logits.shape else torch.inf
    if not error <= tolerance * trace.logits.abs().max().clamp_min(1e-6):
        raise UnsupportedModelError(
            f"{trace.model.name} does more than its norm and head with the tokens of its last "
            "block, so the tokens of other layers cannot be read out as it reads them. Use a "
            'method that reads out no tokens: daam, gmar, rollout, attention, or metric="taylor".'
        )
    trace.readout_checked = True


def finishes_rows(trace: Trace, layer: int) -> bool:
    """Whether the short way gives the block's own output; tried on one token per kind of block."""
    block, record = trace.model.blocks[layer], trace.layers[layer]
    if _altered(block):
        return False
    kind = tuple(type(module) for module in block.modules())
    known = trace.known_blocks.get(kind)
    if known is not None:
        return known
    row = [0]
    with torch.no_grad():
        finished = trace.model.finish_block(block, record.input[:, row], record.out[:, :, row])
    known = finished is not None and _agree(finished, record.output[:, row])
    trace.known_blocks[kind] = known
    return known


def attend_rows(trace: Trace, layer: int, tokens: Tensor, rows: list[int]) -> Tensor | None:
    """Head outputs of a few rows for other tokens than the block was given, masked heads zeroed.

    Parameters
    ----------
    tokens : Tensor
        [batch, token, dim]; its batch may be a multiple of the trace's.

    Returns
    -------
    Tensor or None
        [batch, head, row, head_dim]; None if there is no short way that gives the block's own.
    """
    record, block = trace.layers[layer], trace.model.blocks[layer]
    bias = record.bias
    if bias is not None:
        if bias.ndim < 3 or (bias.ndim == 4 and bias.shape[0] > 1) or bias.dtype == torch.bool:
            return None  # of each image its own, or a mask: the long way knows
        bias = bias.detach()[..., rows, :] if bias.shape[-2] > 1 else bias.detach()
    if layer not in trace.known_attention:
        known = not _altered(block)
        if known:
            found = trace.model.attend_rows(block, record.input.detach(), rows, bias)
            whole = [
                h for h in range(record.out.shape[1]) if h not in trace.head_mask.get(layer, ())
            ]
            known = found is not None and _agree(found[:, whole], record.out[:, whole][:, :, rows])
        trace.known_attention[layer] = known
    if not trace.known_attention[layer]:
        return None
    out = trace.model.attend_rows(block, tokens, rows, bias)
    masked = trace.head_mask.get(layer)
    if out is not None and masked:
        out = out.index_fill(1, torch.tensor(masked, device=out.device), 0)
    return out


def last_block_gradients(trace: Trace) -> tuple[Tensor, Tensor] | None:
    """Gradient of the target by the last block's head outputs and by its input.

    Where few tokens are read out, they alone are carried through the rest of the block again, so
    that a backward pass need not carry all the others through it. The second gradient is what
    reaches the input past the attention. None where this short way is not the model's own.
    """
    rows, last = trace.model.readout_rows, trace.num_layers - 1
    if rows is None:
        return None
    record, chosen = trace.layers[last], list(rows)
    with trace.rerunning():
        try:
            check_readout(trace)
        except UnsupportedModelError:
            return None
        if not finishes_rows(trace, last):
            return None
        inputs = record.input.detach()[:, chosen].requires_grad_()
        out = record.out.detach()[:, :, chosen].requires_grad_()
        finished = trace.model.finish_block(trace.model.blocks[last], inputs, out)
        assert finished is not None
        score = trace.target.score(trace.model.readout(finished)).sum()
    by_out, by_input = torch.autograd.grad(score, (out, inputs))
    whole_out, whole_input = torch.zeros_like(record.out), torch.zeros_like(record.input)
    whole_out[:, :, chosen], whole_input[:, chosen] = by_out, by_input
    return whole_out.detach(), whole_input.detach()


def _agree(found: Tensor, expected: Tensor) -> bool:
    tolerance = 1e-4 if expected.dtype in (torch.float32, torch.float64) else 3e-2
    return bool((found - expected).norm() <= tolerance * expected.norm().clamp_min(1e-12))


def _altered(block: nn.Module) -> bool:
    """Whether hooks or a forward of the user's own may change what this one block computes."""
    return any(
        module._forward_hooks or module._forward_pre_hooks or "forward" in vars(module)
        for module in block.modules()
    )
