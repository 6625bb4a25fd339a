"""Run a model as if some of its heads were gone, without changing it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from ..capture.eager import eagerly
from ..capture.function_mode import AttentionCall, Capture
from ..models import VisionTransformer, describe
from ..models.head_index import HeadsLike, check_heads

__all__ = ["masked_heads"]


@contextmanager
def masked_heads(model: nn.Module | VisionTransformer, heads: HeadsLike) -> Iterator[None]:
    """Zero the outputs of some heads in every forward pass that this thread runs inside.

    The head outputs are zeroed before the output projection, whose bias stays. The model itself
    is untouched, gradients flow, and other threads see the whole model: so do the replicas that
    ``DataParallel`` runs on several devices. Of a compiled model the eager module runs.

    Parameters
    ----------
    model : nn.Module
    heads : dict or iterable of (layer, head)
        ``{layer: [heads]}`` or pairs; layer -1 is the last.

    Raises
    ------
    ParameterError
        If a layer or head does not exist.

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

    def on_attention(call: AttentionCall) -> Tensor | None:
        if call.block is None or call.block not in mask:
            return None
        keep = torch.ones(call.out.shape[1], dtype=call.out.dtype, device=call.out.device)
        keep[list(mask[call.block])] = 0
        return call.out * keep[:, None, None]

    blocks: dict[nn.Module, int] = {block: i for i, block in enumerate(vit.blocks)}
    with eagerly(), Capture(vit.model, blocks, on_attention, constants=False, keep=False):
        yield
