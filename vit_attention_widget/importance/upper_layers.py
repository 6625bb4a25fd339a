"""The rest of the network, from other head outputs of one layer to the logits.

Many variants go through it in one batch. Where the model reads out few tokens (the class token),
the last block is finished for those alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..capture.calls import AttentionCall
from ..capture.function_mode import Capture
from ..errors import UnsupportedModelError
from ..models.output_kind import OutputKind
from ..tracing.checks.alone import has_arguments_of_images
from ..tracing.trace import Trace

__all__ = ["Outcome", "needed_rows", "outcome", "recorded_outcome"]


@dataclass(frozen=True)
class Outcome:
    """What comes of some head outputs.

    Attributes
    ----------
    logits : Tensor
        [variant, batch, class], float32 at least.
    summary : Tensor or str
        [variant, batch, dim]: the token that is read out as it stands after the layer (the class
        token, or the mean of those that are pooled). Why that is not known where it is not.
    kind : OutputKind
        What the logits stand for.
    """

    logits: Tensor
    summary: Tensor | str
    kind: OutputKind = "softmax"


def recorded_outcome(trace: Trace, layer: int) -> Outcome:
    """The outcome of what the trace itself recorded, as one variant."""
    summary = _summary(trace, trace.layers[layer].output.detach()[None], None)
    return Outcome(_wide(trace.logits)[None], summary, trace.model.output)


def needed_rows(trace: Trace, layer: int) -> list[int] | None:
    """The tokens whose head outputs decide in this layer; None if all do."""
    rows = trace.model.readout_rows
    last = trace.num_layers - 1
    if layer != last or rows is None or not trace.block_rows.can_finish(last):
        return None
    return list(rows)


def outcome(trace: Trace, layer: int, variants: Tensor) -> Outcome:
    """Run variants of a layer's head outputs to the end.

    Parameters
    ----------
    layer : int
    variants : Tensor
        [variant, batch, head, row, head_dim], the rows being those of :func:`needed_rows`.
    """
    if len(variants) > 1 and has_arguments_of_images(trace.forward_pass):
        return _joined([outcome(trace, layer, variant[None]) for variant in variants])
    rows, last = needed_rows(trace, layer), trace.num_layers - 1
    tokens = trace.block_rows.replace_head_outputs(layer, variants.flatten(0, 1), rows)
    summary = _summary(trace, tokens.unflatten(0, variants.shape[:2]), rows)
    for above in range(layer + 1, trace.num_layers):
        tokens = _run_block(
            trace, above, tokens, needed_rows(trace, last) if above == last else None
        )
    logits = _wide(trace.model.readout(tokens))
    return Outcome(logits.unflatten(0, variants.shape[:2]), summary, trace.model.output)


def _joined(outcomes: Sequence[Outcome]) -> Outcome:
    summaries = [each.summary for each in outcomes]
    tensors = [summary for summary in summaries if isinstance(summary, Tensor)]
    summary = torch.cat(tensors) if tensors else summaries[0]
    return Outcome(torch.cat([each.logits for each in outcomes]), summary, outcomes[0].kind)


def _summary(trace: Trace, tokens: Tensor, rows: list[int] | None) -> Tensor | str:
    """Tokens [..., batch, row, dim], weighted as the readout weighs them: [..., batch, dim]."""
    try:
        weights = trace.readout.weights()
    except UnsupportedModelError as error:
        return str(error)
    weights = weights if rows is None else weights[:, rows]
    return torch.einsum("br,...brd->...bd", weights.to(tokens), tokens)


def _wide(logits: Tensor) -> Tensor:
    return logits.float() if logits.dtype in (torch.float16, torch.bfloat16) else logits


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

    if rows is not None:
        short = trace.block_rows.attend(layer, tokens, rows)
        if short is not None:
            return trace.block_rows.finish(layer, tokens[:, rows], short)
    if not mask and rows is None:
        return call.rerun(block, tokens)
    try:
        with Capture(
            block, {block: layer}, on_attention, constants=False, keep=False,
            token_first=call.token_first,
        ):  # fmt: skip
            return call.rerun(block, tokens)
    except _AttentionDone as done:
        return trace.block_rows.finish(layer, tokens[:, rows], done.out)
