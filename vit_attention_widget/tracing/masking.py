"""Mask heads for the duration of a block of code, without changing the model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from ..capture.calls import AttentionCall
from ..capture.eager import eagerly
from ..capture.function_mode import Capture
from ..capture.masked_now import masking
from ..models import VisionTransformer, describe
from ..models.head_index import Heads, HeadsLike, check_heads
from ..support.interrupts import interrupts_deferred

__all__ = ["masked_blocks", "masked_heads", "zero_heads"]


@contextmanager
def masked_heads(model: nn.Module | VisionTransformer, heads: HeadsLike) -> Iterator[None]:
    """Mask heads in every forward pass that this thread runs inside the ``with`` block.

    The output of a masked head is set to zero before the output projection; the projection's bias
    stays. The model itself is not modified, gradients flow as usual, and other threads still run
    the unmasked model, including the replicas that ``DataParallel`` runs on several devices. A
    compiled model runs eagerly. Ctrl-C stops the body at the model's next block, or at its end; a
    second one stops it at once.

    Parameters
    ----------
    model : nn.Module
    heads : dict or iterable of (layer, head)
        ``{layer: [heads]}`` or (layer, head) pairs; layer -1 is the last.

    Raises
    ------
    ParameterError
        If a layer or head does not exist.
    UnsupportedModelError
        If the model is not a supported Vision Transformer.

    Examples
    --------
    >>> import torch, vit_attention_widget as vaw
    >>> model = vaw.demo.load_model()
    >>> images = torch.zeros(1, 3, *model.patch_embed.img_size)
    >>> with torch.no_grad(), vaw.masked_heads(model, {0: [1], 2: [0, 3]}):
    ...     pruned = model(images)
    """
    vit = describe(model)
    mask = check_heads(vit, heads)
    blocks = {block: layer for layer, block in enumerate(vit.blocks)}
    with masked_blocks(vit.model, blocks, mask, token_first=vit.token_first):
        yield


@contextmanager
def masked_blocks(
    model: nn.Module, blocks: Mapping[nn.Module, int], mask: Heads, *, token_first: bool = False
) -> Iterator[None]:
    """:func:`masked_heads` of a model that need not be described, such as a copy of one.

    Parameters
    ----------
    model : nn.Module
    blocks : mapping of nn.Module to int
        The layer of each block.
    mask : mapping of int to sequence of int
        Heads by layer.
    token_first : bool
        Whether blocks take tokens before images.
    """

    def on_attention(call: AttentionCall) -> Tensor | None:
        if call.block is None or call.block not in mask:
            return None
        return zero_heads(call.out, mask[call.block])

    with (
        interrupts_deferred(),  # PyTorch's own book of function modes is not safe from Ctrl-C
        masking(blocks, mask),
        eagerly(),
        Capture(model, blocks, on_attention, constants=False, keep=False, token_first=token_first),
    ):
        yield


def zero_heads(head_outputs: Tensor, heads: Sequence[int]) -> Tensor:
    """Head outputs [batch, head, token, head_dim] with those of ``heads`` multiplied by 0."""
    keep = torch.ones(head_outputs.shape[1], dtype=head_outputs.dtype, device=head_outputs.device)
    keep[list(heads)] = 0
    return head_outputs * keep[:, None, None]
