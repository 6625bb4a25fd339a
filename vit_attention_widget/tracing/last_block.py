"""The backward pass through the last block, of which few tokens are read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor

from ..errors import UnsupportedModelError
from ..targets import Target
from .block_rows import BlockRows
from .forward_pass import ForwardPass
from .layer_record import LayerRecord
from .readout import Readout
from .whole_graph import differentiate

__all__ = ["LastBlockGradients", "Start", "last_block_gradients"]

Start: TypeAlias = tuple[Tensor, Tensor | None]
"""A tensor from which a backward pass goes on, and the gradient with respect to it."""


@dataclass
class LastBlockGradients:
    """Gradients of the target in the last block.

    Attributes
    ----------
    of_out : Tensor
        Head outputs, [batch, head, token, head_dim]; 0 but in the rows that are read.
    of_after : Tensor
        The tokens after the block, [batch, token, dim]; the same.
    starts : list of Start
        Where the backward pass goes on from here.
    """

    of_out: Tensor
    of_after: Tensor
    starts: list[Start]


def last_block_gradients(
    recorded: ForwardPass, block_rows: BlockRows, readout: Readout, target: Target
) -> LastBlockGradients | None:
    """Gradients in the last block, from the tokens that are read alone.

    If only a few are, the part of the block after its attention is computed again for these, and
    the backward pass does not go through its MLP for all others; nor, where the attention is of a
    known form, through the attention from all others. None if the block cannot be recomputed.
    The weights are those of the pass: the caller has checked that.
    """
    model, last = recorded.model, recorded.num_layers - 1
    if model.readout_rows is None:
        return None
    record, rows = recorded.layers[last], list(model.readout_rows)
    with recorded.as_before():
        try:
            readout.check()
        except UnsupportedModelError:
            return None
        if not block_rows.can_finish(last):
            return None
        inputs = record.input.detach()[:, rows].requires_grad_()
        out = record.out.detach()[:, :, rows].requires_grad_()
        after = block_rows.finish(last, inputs, out)
        score = target.score(model.readout(after)).sum()
    of_out, of_inputs, of_after = differentiate(recorded, score, (out, inputs, after))
    with torch.no_grad():
        of_all_out = torch.zeros_like(record.out)
        of_all_out[:, :, rows] = of_out.masked_fill(record.masked, 0)
        of_all_inputs, of_all_after = (
            torch.zeros_like(tokens).index_copy(1, torch.tensor(rows, device=of.device), of)
            for tokens, of in ((record.input, of_inputs), (record.output, of_after))
        )
        starts: list[Start] = [(record.input, of_all_inputs)]  # of the residual connection
        if _has_plain_graph(record):
            starts += _of_attention(record, rows, of_all_out[:, :, rows])
        else:
            starts.append((record.out, of_all_out))
    return LastBlockGradients(
        of_all_out, of_all_after, [start for start in starts if start[0].requires_grad]
    )


def _has_plain_graph(record: LayerRecord) -> bool:
    """Whether the graph goes on below the attention through queries, keys and values alone."""
    parts = (record.q, record.k, record.v)
    of_scores = record.weights is None and record.change is None
    constant = record.bias is None or not record.bias.requires_grad
    return of_scores and constant and all(part.requires_grad for part in parts)


def _of_attention(record: LayerRecord, rows: list[int], of_out: Tensor) -> list[Start]:
    """Queries, keys and values with their gradients, from those of some rows of head outputs."""
    q, k, v = record.q.detach()[:, :, rows], record.k.detach(), record.v.detach()
    attention = record.attention(slice(None), rows)
    q, k, v, of_out = (part.to(attention) for part in (q, k, v, of_out))
    of_attention = of_out @ v.mT
    share = (attention * of_attention).sum(-1, keepdim=True)
    of_scores = attention * (of_attention - share) * record.scale
    of_q = torch.zeros_like(record.q)
    of_q[:, :, rows] = (of_scores @ k).to(of_q)
    return [
        (record.q, of_q),
        (record.k, (of_scores.mT @ q).to(record.k)),
        (record.v, (attention.mT @ of_out).to(record.v)),
    ]
