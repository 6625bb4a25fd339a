"""Backward passes of a recorded forward pass. Each yields the gradients of all layers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

import torch
from torch import Tensor

from ..errors import CaptureError
from ..support.interrupts import interrupts_deferred
from ..targets import Target
from .block_rows import BlockRows
from .forward_pass import ForwardPass
from .last_block import Start, last_block_gradients
from .layer_record import LayerRecord
from .readout import Readout
from .whole_graph import check_graph

__all__ = ["TokensBesideHeads", "output_gradients", "token_gradients", "tokens_are_small"]

_SMALL = 2**26
"""Gradients of all tokens that take at most so many bytes come with those of the heads."""


@dataclass
class TokensBesideHeads:
    """What the backward pass for the heads gave of tokens, [batch, token, dim] each.

    Attributes
    ----------
    after : list of (Tensor or None)
        Of the tokens after each block.
    normed : dict of int to (Tensor or None)
        Of the output of a block's first norm, by layer, where it cost nothing more.
    """

    after: list[Tensor | None]
    normed: dict[int, Tensor | None]


def output_gradients(
    recorded: ForwardPass, block_rows: BlockRows, readout: Readout, target: Target
) -> tuple[list[Tensor], TokensBesideHeads | None]:
    """Gradient of the target with respect to each layer's head outputs.

    Returns
    -------
    of_heads : list of Tensor
        One [batch, head, token, head_dim] per layer; 0 for masked heads.
    of_tokens : TokensBesideHeads or None
        What the same pass yields for :func:`token_gradients`: None unless
        :func:`tokens_are_small`.

    Raises
    ------
    CaptureError
        If the forward pass was recorded without gradients, or the graph is broken in some module.
    StaleTraceError
        If the model has changed since.
    """
    check_graph(recorded)
    records, small = recorded.layers, tokens_are_small(recorded)
    with interrupts_deferred(), torch.inference_mode(False), torch.enable_grad():
        last = last_block_gradients(recorded, block_rows, readout, target)
        below = records if last is None else records[:-1]
        starts = [(target.score(recorded.logits).sum(), None)] if last is None else last.starts
        heads = [record.out for record in below]
        after = [record.output for record in below] if small else []
        normed = _on_the_way(records, len(below)) if small else {}
        gradients = iter(_backward(starts, [*heads, *after, *normed.values()]))
        of_heads, of_after = (list(islice(gradients, len(some))) for some in (heads, after))
        of_normed = dict(zip(normed, gradients, strict=True))
        if last is not None:
            of_heads, of_after = [*of_heads, last.of_out], [*of_after, last.of_after]
        return (
            [_of_heads(recorded, layer, gradient) for layer, gradient in enumerate(of_heads)],
            TokensBesideHeads(of_after, of_normed) if small else None,
        )


def tokens_are_small(recorded: ForwardPass) -> bool:
    """Whether gradients of tokens come with those of the heads: where they take at most 64 MB."""
    tokens = _tokens(recorded.layers)
    return sum(each.numel() * each.element_size() for each in tokens) <= _SMALL


def token_gradients(
    recorded: ForwardPass,
    target: Target,
    of_heads: Sequence[Tensor] | None = None,
    of_tokens: TokensBesideHeads | None = None,
) -> list[tuple[Tensor, Tensor | None]]:
    """Gradient of the target with respect to each layer's tokens.

    Parameters
    ----------
    recorded : ForwardPass
    target : Target
    of_heads, of_tokens : optional
        What :func:`output_gradients` returned: it spares all but a part of one or two blocks.

    Returns
    -------
    list of (Tensor, Tensor or None)
        For each layer the gradients with respect to the tokens after the block, and with respect to
        the output of the block's first norm (None if there is no such norm), [batch, token, dim].

    Raises
    ------
    CaptureError
        If the forward pass was recorded without gradients, the graph is broken in some module, or
        the logits do not depend on the tokens after some block.
    StaleTraceError
        If the model has changed since.
    """
    check_graph(recorded)
    records = recorded.layers
    normed: dict[int, Tensor | None]
    with interrupts_deferred(), torch.inference_mode(False), torch.enable_grad():
        if of_heads is None or of_tokens is None:
            score = target.score(recorded.logits).sum()
            gradients = iter(_backward([(score, None)], _tokens(records)))
            after = list(islice(gradients, len(records)))
            normed = dict(zip(_normed(records), gradients, strict=True))
        else:
            after, normed = of_tokens.after, dict(of_tokens.normed)
            for layer in _normed(records).keys() - normed.keys():
                normed[layer] = _of_normed(records[layer], of_heads[layer], after[layer])
    pairs = []
    for layer, gradient in enumerate(after):
        if gradient is None:
            raise CaptureError(
                f"The logits of {recorded.model.name} do not depend on the tokens that layer "
                f"{layer} returned, so there is no gradient with respect to these: use a method "
                "that needs only the gradient of the attention (daam, gmar, relevance)."
            )
        pairs.append((gradient, normed.get(layer)))
    return pairs


def _backward(starts: Sequence[Start], wanted: Sequence[Tensor]) -> list[Tensor | None]:
    """Gradients, after one pass that begins at some tensors, each with its own gradient."""
    if not wanted:
        return []
    tensors, upstream = zip(*starts, strict=True)
    return list(
        torch.autograd.grad(tensors, wanted, upstream, retain_graph=True, allow_unused=True)
    )


def _tokens(records: Sequence[LayerRecord]) -> list[Tensor]:
    """The tokens after each block; then, where there is one, the output of its first norm."""
    return [*(record.output for record in records), *_normed(records).values()]


def _normed(records: Sequence[LayerRecord]) -> dict[int, Tensor]:
    """The output of each block's first norm, where there is one."""
    normed = ((layer, record.block.normed) for layer, record in enumerate(records))
    return {layer: tokens for layer, tokens in normed if tokens is not None}


def _on_the_way(records: Sequence[LayerRecord], whole: int) -> dict[int, Tensor]:
    """Norms through which the pass for the heads goes anyway.

    Not the first block's, below which there are no heads; and of a block above the ``whole`` ones,
    of which only the attention is gone through, where nothing else reads its norm.
    """
    return {
        layer: tokens
        for layer, tokens in _normed(records).items()
        if layer and (layer < whole or _read_by_attention_alone(records[layer]))
    }


def _of_normed(record: LayerRecord, of_out: Tensor, of_after: Tensor | None) -> Tensor | None:
    """Gradient with respect to the output of a block's first norm, from those above it."""
    assert record.block.normed is not None
    through_attention = _read_by_attention_alone(record)
    start, upstream = (record.out, of_out) if through_attention else (record.output, of_after)
    return None if upstream is None else _backward([(start, upstream)], [record.block.normed])[0]


def _read_by_attention_alone(record: LayerRecord) -> bool:
    """Whether a block's first norm reaches its output through its head outputs and no other way."""
    assert record.block.normed is not None
    edge = torch.autograd.graph.get_gradient_edge
    norm, seen = edge(record.block.normed).node, {edge(record.out).node}
    if record.input.requires_grad:
        seen.add(edge(record.input).node)
    left = [edge(record.output).node] if record.output.requires_grad else []
    while left:
        node = left.pop()
        if node is norm:
            return False
        if node not in seen:
            seen.add(node)
            left += [below for below, _ in node.next_functions if below is not None]
    return True


def _of_heads(recorded: ForwardPass, layer: int, gradient: Tensor | None) -> Tensor:
    """Gradient with respect to a layer's head outputs, as autograd gave it, 0 for masked heads."""
    record = recorded.layers[layer]
    if gradient is not None:
        return gradient.masked_fill(record.masked, 0) if record.masked.any() else gradient
    if not record.out.numel():  # all heads were cut out
        return torch.zeros_like(record.out)
    raise CaptureError(
        f"The logits of {recorded.model.name} do not depend on the attention of layer {layer}, as "
        "far as autograd can tell, so there is no gradient with respect to it: trace the part of "
        "the model whose result goes through that layer, or use a method that needs no gradient "
        "(attention, rollout)."
    )
