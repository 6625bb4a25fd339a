"""Hold the attention that was observed against the head outputs that the model computed."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ...capture.attention_product import tolerance_of
from ...errors import CaptureError
from ...models import VisionTransformer
from ..layer_record import LayerRecord

__all__ = ["check_attention"]

_ATTEND = torch._C._nn.scaled_dot_product_attention
"""PyTorch's own, whatever stands in its place by now."""


def check_attention(records: Sequence[LayerRecord], vit: VisionTransformer, first: int = 0) -> None:
    """Raise unless a row of each layer's attention, times the values, is that of its head outputs.

    Parameters
    ----------
    records : sequence of LayerRecord
        From layer ``first`` on. Masked heads, whose outputs are 0, are left out.
    vit : VisionTransformer
    first : int

    Raises
    ------
    CaptureError
        Names the layers whose head outputs are something else.
    """
    _check_rows_of_nothing(records, vit, first)
    with torch.no_grad():
        with torch.autocast(records[0].q.device.type, enabled=False):
            off = _differences(records)
        wrong = []
        for layer, record in enumerate(records, first):
            allowed = tolerance_of(record.q, record.v, record.out)
            if not off[layer - first] <= allowed:
                part, size = _difference(record).tolist()
                off[layer - first] = part / max(size, 1e-12)
                if not off[layer - first] <= allowed:
                    wrong.append(layer)
    if wrong:
        raise CaptureError(
            f"In layers {wrong} of {vit.name} the attention that was observed does not give the "
            f"head outputs: softmax(q @ k.T * scale + bias) @ v is off by "
            f"{off[wrong[0] - first]:.1%} in layer {wrong[0]}. Something changes the weights "
            "or the outputs in between (a factor, dropout that is always on, a hook), so no map "
            "would be true. Write the attention as scaled_dot_product_attention, or as a matrix "
            "whose rows sum to 1 times the values."
        )


def _check_rows_of_nothing(
    records: Sequence[LayerRecord], vit: VisionTransformer, first: int
) -> None:
    """Raise unless tokens that attend to nothing have head outputs of 0."""
    sizes: dict[int, Tensor] = {}
    for layer, record in enumerate(records, first):
        nothing = record.attends_to_nothing
        if nothing is not None and record.out.numel():
            sizes[layer] = record.out.detach().abs().amax(-1).masked_fill(~nothing, 0).amax()
    if not sizes:
        return
    values = torch.stack(list(sizes.values())).tolist()  # waits once
    wrong = [layer for layer, size in zip(sizes, values, strict=True) if size != 0]
    if wrong:
        raise CaptureError(
            f"In layers {wrong} of {vit.name} the mask hides every key from some tokens, but their "
            "head outputs are not 0: what they attend to is not what the mask says. Let them see "
            "at least one token (themselves), or hide keys by a large negative number instead of "
            "-inf."
        )


def _differences(records: Sequence[LayerRecord]) -> list[float]:
    """How far a row is from the outputs in each layer, relative to these.

    As few operations as there can be, and one wait for all layers: on small models it is their
    number that costs. Attention of a fused kernel is one operation, of which one head, in each
    layer another, shows what it does; layers that are alike are computed together.
    """
    together: dict[object, list[int]] = {}
    for number, record in enumerate(records):
        is_fused = record.weights is None and record.change is None and record.bias is None
        has_heads = record.v.shape[1] > 0  # all may be cut
        one_type = record.q.dtype == record.k.dtype == record.v.dtype  # not so under autocast
        kind = (record.q.shape, record.v.shape, record.scale, record.q.dtype)
        alike = is_fused and has_heads and one_type
        together.setdefault(kind if alike else number, []).append(number)
    parts = [
        _difference(records[numbers[0]])[None]
        if isinstance(kind, int)
        else _differences_of_fused([records[number] for number in numbers])
        for kind, numbers in together.items()
    ]
    order = [number for numbers in together.values() for number in numbers]
    off = [part / max(size, 1e-12) for part, size in torch.cat(parts).tolist()]  # waits once
    return [off[order.index(number)] for number in range(len(records))]


def _differences_of_fused(records: Sequence[LayerRecord]) -> Tensor:
    """Of a head of each of some layers that are alike, the norms of difference and outputs."""
    first = records[0]
    count, middle = first.v.shape[1], first.out.shape[2] // 2
    heads = [(record, number % count) for number, record in enumerate(records)]
    q = torch.stack([record.q[:, head, middle] for record, head in heads])
    k = torch.stack([record.k[:, head] for record, head in heads])
    v = torch.stack([record.v[:, head] for record, head in heads])
    out = torch.stack([record.out[:, head, middle] for record, head in heads])
    expected = _ATTEND(q[:, :, None], k, v, scale=first.scale)[:, :, 0]
    norms: Tensor = torch.stack([expected - out, out]).flatten(2).norm(dim=-1)
    return norms.T


def _difference(record: LayerRecord) -> Tensor:
    """The same of all heads of one layer but masked ones.

    The middle row: a class token's may be treated in a way of its own.
    """
    middle = record.out.shape[2] // 2
    row = slice(middle, middle + 1)
    out = record.out[:, :, row]
    off = record.attention(slice(None), row).to(record.v.dtype) @ record.v - out
    return torch.stack([off.masked_fill(record.masked, 0).norm(), out.norm()])
