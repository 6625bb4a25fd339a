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


def check_attention(records: Sequence[LayerRecord], vit: VisionTransformer, first: int = 0) -> None:
    """Raise unless a row of each layer's attention, times the values, is that of its head outputs.

    Parameters
    ----------
    records : sequence of LayerRecord
        From layer ``first`` on.
        Masked heads, whose outputs are 0, are left out.
    vit : VisionTransformer
    first : int

    Raises
    ------
    CaptureError
        Names the layers whose head outputs are something else.
    """
    with torch.no_grad():
        off = torch.stack([_difference(record) for record in records]).tolist()  # waits once
        wrong = []
        for layer, record in enumerate(records, first):
            allowed = tolerance_of(record.q, record.v, record.out)
            if not off[layer - first] <= allowed:
                off[layer - first] = float(_difference(record, leave_out_masked=True))
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


def _difference(record: LayerRecord, *, leave_out_masked: bool = False) -> Tensor:
    """How far a row of every head is from the outputs, relative to these.

    The middle one: a class token's may be treated in a way of its own.
    """
    middle = record.out.shape[2] // 2
    row = slice(middle, middle + 1)
    out = record.out[:, :, row]
    off = record.attention(slice(None), row).to(record.v.dtype) @ record.v - out
    if leave_out_masked:
        off = off.masked_fill(record.masked, 0)
    return off.norm() / out.norm().clamp_min(1e-12)
