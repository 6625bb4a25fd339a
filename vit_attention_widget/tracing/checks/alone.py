"""Blocks run again by themselves do as in the whole model, whatever else than tokens they take."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor, nn

from ...capture.calls import AttentionCall, BlockCall
from ...capture.function_mode import Capture
from ...errors import UnsupportedModelError
from ...models import VisionTransformer
from ..forward_pass import ForwardPass
from ..masking import zero_heads
from .handed_on import check_nothing_is_handed_on, is_same
from .tried import Tried

__all__ = ["check_alone", "has_arguments_of_images"]

_PLAIN = (bool, int, float, str, type(None), torch.dtype, torch.device, nn.Module)


def check_alone(recorded: ForwardPass) -> None:
    """Raise unless upper blocks, run again by themselves, do as in the whole model.

    Blocks may be given more than the tokens of the block before: skips from others, scores, a
    state. What is recorded of these goes with the recorded pass alone. Where a block is given
    anything that the first is not, both ways are tried once, with the first layer's heads masked.
    Nor may they leave anything for each other elsewhere, see :mod:`.handed_on`.

    Raises
    ------
    UnsupportedModelError
        If they do not.
    """
    check_nothing_is_handed_on(recorded)
    calls = [record.block for record in recorded.layers]
    first = {id(value) for value in _given(calls[0])}
    more = [v for call in calls[1:] for v in _given(call) if _may_change(v) or id(v) not in first]
    if not more:
        return
    if not _SAME.of(recorded):
        raise UnsupportedModelError(
            f"The blocks of {recorded.model.name} are given more than the tokens of the block "
            "before (skips, scores or a state of blocks further below), so its layers cannot be "
            "run again by themselves. Use what does not need that: daam, gmar, rollout, "
            'attention, or metric="taylor".'
        )


def has_arguments_of_images(recorded: ForwardPass) -> bool:
    """Whether blocks are given tensors, besides tokens, with something of each image."""
    batch = recorded.batch_size
    return batch > 1 and any(
        isinstance(value, Tensor) and value.ndim > 0 and value.shape[0] == batch
        for record in recorded.layers
        for value in _given(record.block)
    )


def _given(call: BlockCall) -> Iterator[object]:
    """What a block is given besides tokens, tuples and lists taken apart."""
    yield from _parts([*call.args, *call.other_kwargs.values()])


def _parts(values: Sequence[object]) -> Iterator[object]:
    for value in values:
        if isinstance(value, list | tuple):
            yield from _parts(value)
        elif not isinstance(value, _PLAIN):
            yield value


def _may_change(value: object) -> bool:
    """Whether blocks may put something into it for others: a dict, an object."""
    return not isinstance(value, Tensor)


def _does_the_same(recorded: ForwardPass) -> bool:
    vit, layers = recorded.model, recorded.layers
    every = tuple(range(layers[0].out.shape[1]))
    mask = {**recorded.head_mask, 0: every}
    with recorded.rerunning(), torch.no_grad():
        with _masked(vit, mask):
            whole = vit.forward(recorded.inputs)
        with _masked(vit, mask):
            tokens = layers[0].input
            for block, record in zip(vit.blocks, layers, strict=True):
                tokens = record.block.rerun(block, tokens)
            alone = vit.readout(tokens)
    return is_same(alone, whole)


_SAME = Tried(_does_the_same)
"""Whether blocks that take more than tokens do so. Skips may begin at zero, and grow later."""


def _masked(vit: VisionTransformer, mask: Mapping[int, Sequence[int]]) -> Capture:
    def on_attention(call: AttentionCall) -> Tensor | None:
        heads = None if call.block is None else mask.get(call.block)
        return None if heads is None else zero_heads(call.out, heads)

    blocks: dict[nn.Module, int] = {block: layer for layer, block in enumerate(vit.blocks)}
    return Capture(vit.model, blocks, on_attention, keep=False, token_first=vit.token_first)
