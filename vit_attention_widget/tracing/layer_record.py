"""The record of one layer's attention, and how captured calls are assigned to layers."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from ..capture.attention_product import scores_of
from ..capture.calls import AttentionCall, BlockCall
from ..capture.flex import ChangedScores
from ..capture.function_mode import Capture
from ..errors import CaptureError, UnsupportedModelError
from ..models import VisionTransformer
from ..models.token_layout import TokenLayout

__all__ = ["LayerRecord", "assign_to_layers", "attention_rows"]

_ONE_AT_A_TIME = (
    " Where each head is computed by itself, all heads must come together by cat or stack before "
    "anything else (a projection, a factor, a sum) is computed from one of them."
)


@dataclass
class LayerRecord:
    """The attention of one block, as it was computed in a forward pass.

    Attributes
    ----------
    q, k, v : Tensor
        Queries, keys and values, [batch, head, token, head_dim].
    out : Tensor
        Head outputs before the output projection, [batch, head, token, head_dim].
    scale : float
        Factor of the scores: the attention is ``softmax(q k^T * scale + bias)``.
    bias : Tensor or None
        Added to the scores, or a boolean mask of the entries to keep; broadcasts to
        [batch, head, query, key].
    block : BlockCall
        The block's inputs and outputs.
    weights : Tensor or None
        The attention itself, [batch, head, query, key], where the scores are not of this form.
    change : ChangedScores or None
        What becomes of the scores before the softmax, where flex_attention changes them.
    """

    q: Tensor
    k: Tensor
    v: Tensor
    out: Tensor
    scale: float
    bias: Tensor | None
    block: BlockCall
    weights: Tensor | None = None
    change: ChangedScores | None = None

    @cached_property
    def masked(self) -> Tensor:
        """Masked heads, recognized by an output of all zeros: [batch, head, 1, 1] bool."""
        with torch.inference_mode(False):  # it is kept, and met by graphs later
            out = self.out.detach()
            masked = out[:, :, :1].eq(0).all(-1, keepdim=True)
            if masked.any():  # in the first token, which tells as a rule
                masked = out.abs().amax((-2, -1), keepdim=True).eq(0)
            return masked

    @property
    def rows_at_once(self) -> int:
        """Number of query rows whose attention over all heads takes about 64 MB in float32."""
        batch, heads, tokens, _ = self.q.shape
        return max(1, 2**24 // max(1, batch * heads * tokens))

    @property
    def attends_to_nothing(self) -> Tensor | None:
        """Tokens from which the mask hides every key, bool; broadcasts to [batch, head, query]."""
        if self.bias is None:
            return None
        hidden = ~self.bias if self.bias.dtype == torch.bool else torch.isneginf(self.bias)
        return hidden.all(-1)

    def attention(self, heads: slice | list[int], queries: slice | list[int]) -> Tensor:
        """Attention after the softmax, [batch, head, query, key], in at least float32.

        0 in rows of tokens that attend to nothing. In memory of its own, whoever writes into it.
        """
        return attention_rows(self, heads, queries)

    @property
    def input(self) -> Tensor:
        """Tokens before the block, [batch, token, dim]."""
        return self.block.input

    @property
    def output(self) -> Tensor:
        """Tokens after the block, [batch, token, dim]."""
        return self.block.output


def attention_rows(
    call: LayerRecord | AttentionCall, heads: slice | list[int], queries: slice | list[int]
) -> Tensor:
    """Rows of an attention after the softmax, [batch, head, query, key], in at least float32."""
    if call.weights is not None:
        weights = call.weights[:, heads][:, :, queries].detach()
        return weights.to(torch.promote_types(weights.dtype, torch.float32), copy=True)
    q, k = call.q[:, heads][:, :, queries].detach(), call.k[:, heads].detach()
    scores = scores_of(q, k, call.scale)
    if call.change is not None:
        with torch.no_grad():
            return call.change.weights(call.change(scores, heads, queries))
    if call.bias is None:
        return scores.softmax(-1)
    scores = _add_bias(scores, _select_bias(call.bias.detach(), heads, queries))
    # PyTorch's kernels give 0 to a token that attends to nothing, and a softmax would give NaN.
    nothing = torch.isneginf(scores).all(-1, keepdim=True)
    return scores.softmax(-1).masked_fill_(nothing, 0)


def assign_to_layers(
    capture: Capture, vit: VisionTransformer, tokens: TokenLayout, first: int = 0
) -> tuple[list[LayerRecord], list[AttentionCall]]:
    """Assign each attention call to its layer.

    Parameters
    ----------
    capture : Capture
        Of a finished forward pass.
    vit : VisionTransformer
    tokens : TokenLayout
        Of that pass's inputs.
    first : int
        The first layer that ran.

    Returns
    -------
    records : list of LayerRecord
        From layer ``first`` on.
    pools : list of AttentionCall
        The attention calls after all blocks.

    Raises
    ------
    UnsupportedModelError
        If a block computes attention more than once, or not over exactly the model's tokens.
    CaptureError
        If no attention was observed in a layer, or it was written over afterwards.
    """
    calls: dict[int, AttentionCall] = {}
    pools: list[AttentionCall] = []
    for call in capture.attention_calls:
        if call.was_written_over:
            raise CaptureError(
                f"{call.path!r} of {vit.name} writes into the queries, keys, values, weights or "
                "outputs of its attention once that is computed, so that they are no longer what "
                "they were: have it write into a copy (tensor.clone())."
            )
        if call.block is None:
            pools.append(call)
            continue
        pools = []
        if call.block in calls:
            raise UnsupportedModelError(
                f"Block {call.block} of {vit.name} calls attention more than once "
                f"({calls[call.block].path!r} and {call.path!r}), so it is unclear which to record."
                + (_ONE_AT_A_TIME if call.v.shape[1] == 1 else "")
            )
        if call.q.shape[-2] != tokens.num_tokens or call.k.shape[-2] != tokens.num_tokens:
            raise UnsupportedModelError(
                f"{call.path!r} of {vit.name} attends from {call.q.shape[-2]} to "
                f"{call.k.shape[-2]} tokens, but the input has {tokens.num_tokens} "
                f"({tokens.num_prefix} prefix tokens and {tokens.rows} x {tokens.cols} patches)."
            )
        calls[call.block] = call
    layers = range(first, vit.num_layers)
    missing = [i for i in layers if i not in calls or i not in capture.block_calls]
    if missing:
        seen = next((capture.rejected[i] for i in missing if i in capture.rejected), None)
        raise CaptureError(
            f"No attention was observed in layers {missing} of {vit.name}: "
            + (seen or "no matrix whose rows sum to 1 multiplies the values of all heads at once")
            + ". What can be followed is scaled_dot_product_attention, flex_attention, multi-head "
            "attention, and such a product by matmul, bmm or einsum, of all heads or of one at a "
            "time, with rows made in any way; attention in a custom operation cannot."
        )
    return [_record(calls[i], capture.block_calls[i]) for i in layers], pools


def _record(call: AttentionCall, block: BlockCall) -> LayerRecord:
    return LayerRecord(
        call.q, call.k, call.v, call.out, call.scale, call.bias, block, call.weights, call.change
    )


def _select_bias(bias: Tensor, heads: slice | list[int], queries: slice | list[int]) -> Tensor:
    while bias.ndim < 4:
        bias = bias[None]
    if bias.shape[1] > 1:
        bias = bias[:, heads]
    return bias[:, :, queries] if bias.shape[2] > 1 else bias


def _add_bias(scores: Tensor, bias: Tensor) -> Tensor:
    if bias.dtype == torch.bool:
        return scores.masked_fill(~bias, float("-inf"))
    return scores + bias
