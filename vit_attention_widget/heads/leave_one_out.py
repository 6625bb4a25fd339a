"""Remove every head in turn, without ever repeating the layers below it.

In block l the head outputs are known from the trace. One variant a head, with that head's output
zeroed, goes through the rest of block l and the blocks above it, many variants in one batch. Where
the model reads out few tokens (the class token), the last block is finished for those alone.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from ..capture import AttentionCall, Capture
from ..errors import ParameterError
from ..readout import check_readout, finish_block, finishes_rows
from ..trace import Progress, Trace

__all__ = ["leave_one_out"]

_DEFAULT_BATCH = 64


def leave_one_out(
    trace: Trace,
    *,
    max_batch: int | None = None,
    progress: Progress | None = None,
    on_layer: Callable[[int, Tensor], None] | None = None,
) -> Tensor:
    """Fall of the target's probability when each head is removed, [batch, layer, head].

    Pruned heads (``trace.head_mask``) are NaN. Layers are done from the last, the cheapest, to
    the first; ``on_layer(layer, values [batch, head])`` is called after each.
    """
    index = trace.target.index
    if index is None:
        raise ParameterError(
            f"The target {trace.target.name!r} is not a class, so it has no probability: "
            'give a class index or name, or choose metric="taylor".'
        )
    widest = max(trace.num_heads)
    values = trace.probabilities.new_full((trace.batch_size, trace.num_layers, widest), torch.nan)
    labels = torch.tensor(index, device=values.device)
    baseline = trace.probabilities[torch.arange(trace.batch_size), labels]
    limit = max(1, (max_batch or _DEFAULT_BATCH) // trace.batch_size)
    done, total = 0, sum(trace.num_layers - layer for layer in range(trace.num_layers))
    with torch.inference_mode(), trace.rerunning():
        check_readout(trace)
        for layer in reversed(range(trace.num_layers)):
            gone = set(trace.head_mask.get(layer, ()))
            heads = [h for h in range(trace.num_heads[layer]) if h not in gone]
            for start in range(0, len(heads), limit):
                part = heads[start : start + limit]
                logits = _logits_without(trace, layer, part)
                kept = logits.softmax(-1)[:, torch.arange(trace.batch_size), labels]
                values[:, layer, part] = (baseline - kept.to(baseline)).T
                if progress is not None:
                    share = (trace.num_layers - layer) * (start + len(part)) / len(heads)
                    progress((done + share) / total, f"removing the heads of layer {layer}")
            done += trace.num_layers - layer
            if on_layer is not None:
                on_layer(layer, values[:, layer])
    return values


def _logits_without(trace: Trace, layer: int, heads: list[int]) -> Tensor:
    """Logits with one head of a layer removed at a time, [head, batch, class]."""
    last = trace.num_layers - 1
    record, rows = trace.layers[layer], _rows(trace)
    own_rows = rows if layer == last else None
    out = record.out if own_rows is None else record.out[:, :, own_rows]
    variants = out.unsqueeze(0).repeat(len(heads), 1, 1, 1, 1)
    variants[range(len(heads)), :, heads] = 0
    tokens = finish_block(trace, layer, variants.flatten(0, 1), own_rows)
    for above in range(layer + 1, trace.num_layers):
        tokens = _run_block(trace, above, tokens, rows if above == last else None)
    logits = trace.model.readout(tokens)
    if logits.dtype in (torch.float16, torch.bfloat16):
        logits = logits.float()
    return logits.unflatten(0, (len(heads), trace.batch_size))


def _rows(trace: Trace) -> list[int] | None:
    rows = trace.model.readout_rows
    if rows is None or not finishes_rows(trace, trace.num_layers - 1):
        return None
    return list(rows)


class _AttentionDone(Exception):  # noqa: N818
    """Carries the head outputs out of a block whose rest is not needed for every token."""

    def __init__(self, out: Tensor) -> None:
        self.out = out


def _run_block(trace: Trace, layer: int, tokens: Tensor, rows: list[int] | None) -> Tensor:
    """A block of the model on other tokens than it was given, for some of the rows or all."""
    block: nn.Module = trace.model.blocks[layer]
    call = trace.layers[layer].block
    mask = trace.head_mask.get(layer)

    def on_attention(seen: AttentionCall) -> Tensor:
        out = seen.out
        if mask:
            out = out.index_fill(1, torch.tensor(mask, device=out.device), 0)
        if rows is not None:
            raise _AttentionDone(out[:, :, rows])
        return out

    kwargs = {name: value for name, value in call.kwargs.items() if value is not call.input}
    if not mask and rows is None:
        result = block(tokens, *call.args, **kwargs)
        return result[0] if isinstance(result, tuple) else result
    try:
        with Capture(block, {block: layer}, on_attention, constants=False, keep=False):
            result = block(tokens, *call.args, **kwargs)
    except _AttentionDone as done:
        finished = trace.model.finish_block(block, tokens[:, rows], done.out)
        assert finished is not None
        return finished
    return result[0] if isinstance(result, tuple) else result
