"""Which tokens feed the logits, as the pass that was just run shows it."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from ...capture.calls import AttentionCall
from ...capture.function_mode import Capture
from ...models import VisionTransformer
from ...models.measured import (
    counts_do_not_matter,
    rows_of,
    rows_that_matter,
    sum_by_chance,
)
from ...models.token_layout import TokenLayout
from ..read_tokens import ReadTokens

__all__ = ["pools_as_seen", "readout_as_seen", "weighed_by_shares"]

_TRACE_WITH_GRADIENTS = (
    "its norm and head, run again on the tokens of its last block, do not give its logits, so what "
    "it does with these could be seen from their gradient only: trace with gradients=True"
)


def readout_as_seen(
    vit: VisionTransformer,
    logits: Tensor,
    output: Tensor,
    tokens: TokenLayout,
    pools: Sequence[AttentionCall],
    *,
    hidden: bool,
) -> tuple[VisionTransformer, ReadTokens]:
    """The description with the readout that the pass shows, and the tokens that it reads.

    Where the autograd graph was kept, the gradient of the logits tells which tokens are read.
    Without it the description's readout is run on the tokens of the last block, and tells it if it
    gives the model's logits.

    Parameters
    ----------
    vit : VisionTransformer
    logits : Tensor
        [batch, class].
    output : Tensor
        Tokens after the last block, [batch, token, dim].
    tokens : TokenLayout
    pools : sequence of AttentionCall
        Those that :func:`pools_as_seen` found.
    hidden : bool
        Whether no attention at all was observed after the blocks.

    Returns
    -------
    VisionTransformer
        ``vit`` itself where it fits, else a copy: others may be using it.
    ReadTokens
    """
    patches = tuple(range(tokens.num_prefix, tokens.num_tokens))
    if pools:
        return _with(vit, "attention_pool", None), ReadTokens(patches)
    rows = _in_graph(logits, output)
    if rows is None:
        rows = _in_readout(vit, logits, output)
    if rows is None:
        return vit, ReadTokens((), _TRACE_WITH_GRADIENTS)
    if not rows:  # the logits are constant
        return vit, ReadTokens(_described(vit, tokens))
    if rows[-1] < tokens.num_prefix:
        first = tokens.class_token
        few = _few_rows(vit, logits, output, rows[-1] + 1)
        return _with(vit, "class", few), ReadTokens(rows if first not in rows else (first,))
    if vit.readout_kind == "attention_pool" and hidden:
        return _with(vit, "attention_pool", None), ReadTokens(patches)
    if set(rows) >= set(patches):
        return _with(vit, "max" if vit.readout_kind == "max" else "mean", None), ReadTokens(rows)
    if rows[0] >= tokens.num_prefix and _takes_maximum(vit, output, rows):
        return _with(vit, "max", None), ReadTokens(patches)
    unknown = None if _always(vit, output, rows) else _depends(rows, tokens)
    return _with(vit, "mean", None), ReadTokens(rows, unknown)


def pools_as_seen(
    vit: VisionTransformer, logits: Tensor, output: Tensor, after: Sequence[AttentionCall]
) -> tuple[AttentionCall, ...]:
    """Those of the attention calls after all blocks whose outputs feed the logits.

    To go on to all tokens through the pool's keys would cost as much as a part of a block.
    """
    if not after:
        return ()
    read: Tensor | None = logits
    calls = list(after)
    if not (logits.requires_grad and all(call.out.requires_grad for call in after)):
        if vit.readout_kind == "attention_pool" and len(after) == 1:
            return tuple(after)
        with torch.enable_grad(), Capture(vit.model, {}) as capture:
            read = _try(vit, output.detach().requires_grad_())
        calls = capture.attention_calls
    pairs = zip(after, calls, strict=True) if len(calls) == len(after) else ()
    living = [(call, own.out) for call, own in pairs if own.out.requires_grad]
    if read is None or not read.requires_grad or not living:
        return ()
    outs = [out for _, out in living]
    with torch.enable_grad():
        gradients = torch.autograd.grad(
            sum_by_chance(read), outs, retain_graph=True, allow_unused=True
        )
    return tuple(
        call
        for (call, _), gradient in zip(living, gradients, strict=True)
        if gradient is not None and bool((gradient != 0).any())
    )


def weighed_by_shares(read: ReadTokens, path: str) -> ReadTokens:
    """The tokens that are read, where they are weighed in a way that was not followed."""
    return replace(
        read,
        unknown=f"{path or 'its forward'} weighs its tokens by shares that it makes of them; to be "
        "followed this must be a matrix product: torch.matmul(weights.transpose(1, 2), tokens) "
        "with weights [batch, token, 1]",
    )


def _described(vit: VisionTransformer, tokens: TokenLayout) -> tuple[int, ...]:
    if vit.readout_kind == "class":
        return (0,)
    return tuple(range(tokens.num_prefix, tokens.num_tokens))


def _with(vit: VisionTransformer, kind: str, rows: tuple[int, ...] | None) -> VisionTransformer:
    if (kind, rows) == (vit.readout_kind, vit.readout_rows):
        return vit
    seen = copy.copy(vit)
    seen.readout_kind, seen.readout_rows = kind, rows
    return seen


def _in_graph(logits: Tensor, output: Tensor) -> tuple[int, ...] | None:
    """The tokens that are read, by the graph of the pass itself; None without one."""
    if not (logits.requires_grad and output.requires_grad):
        return None
    with torch.enable_grad():
        (gradient,) = torch.autograd.grad(
            sum_by_chance(logits), output, retain_graph=True, allow_unused=True
        )
    return None if gradient is None else rows_of(gradient)


def _in_readout(vit: VisionTransformer, logits: Tensor, output: Tensor) -> tuple[int, ...] | None:
    """Those that the description's readout reads; None unless it gives the model's logits."""
    tokens = output.detach()
    with torch.enable_grad():
        read = _try(vit, tokens.requires_grad_())
    if read is None:  # weights that were made in inference mode have no gradients
        with torch.no_grad():
            read = _try(vit, tokens)
    if read is None or not _are_close(read, logits):
        return None
    gradient = None
    if read.requires_grad:
        with torch.enable_grad():
            (gradient,) = torch.autograd.grad(sum_by_chance(read), tokens, allow_unused=True)
    if gradient is None:  # quantized layers pass none
        return rows_that_matter(vit.readout, _with_another(tokens))
    return rows_of(gradient)


def _few_rows(
    vit: VisionTransformer, logits: Tensor, output: Tensor, count: int
) -> tuple[int, ...] | None:
    """The first rows, where the readout of these alone gives the logits."""
    with torch.no_grad():
        read = _try(vit, output.detach()[:, :count])
    return tuple(range(count)) if read is not None and _are_close(read, logits) else None


def _takes_maximum(vit: VisionTransformer, output: Tensor, rows: Sequence[int]) -> bool:
    try:
        return counts_do_not_matter(vit.readout, _with_another(output), rows)
    except (RuntimeError, IndexError, ValueError):
        return False


def _with_another(tokens: Tensor) -> Tensor:
    """The tokens of the first image, and others by chance, [2, token, dim]."""
    other = torch.randn(tokens.shape[1:], generator=torch.Generator().manual_seed(0)).to(tokens)
    return torch.stack([tokens.detach()[0], other])


def _always(vit: VisionTransformer, output: Tensor, rows: Sequence[int]) -> bool:
    """Whether the readout looks at the same tokens of any image."""
    with torch.enable_grad():
        tokens = _with_another(output)[1:].requires_grad_()
        read = _try(vit, tokens)
        if read is None or not read.requires_grad:
            return False
        (gradient,) = torch.autograd.grad(sum_by_chance(read), tokens)
    return rows_of(gradient) == tuple(rows)


def _depends(rows: Sequence[int], tokens: TokenLayout) -> str:
    return (
        f"the logits depend on {len(rows)} of its {tokens.num_tokens} tokens (first "
        f"{tokens.name(rows[0])}), and for other images on others"
    )


def _try(vit: VisionTransformer, tokens: Tensor) -> Tensor | None:
    """What the description's readout gives; None where it cannot take these tokens."""
    try:
        read = vit.readout(tokens)
    except (RuntimeError, IndexError, ValueError):
        return None
    return read if isinstance(read, Tensor) and read.ndim == 2 else None


def _are_close(values: Tensor, expected: Tensor) -> bool:
    if values.shape != expected.shape:
        return False
    tolerance = 1e-3 if expected.dtype in (torch.float32, torch.float64) else 5e-2
    off = (values.detach() - expected.detach()).abs().max()
    return bool(off <= tolerance * expected.detach().abs().max().clamp_min(1e-6))
