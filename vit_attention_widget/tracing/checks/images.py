"""Images are told from heads, also where there are as many of both."""

from __future__ import annotations

from dataclasses import replace

import torch

from ...capture.attention_product import is_close
from ...capture.function_mode import Capture
from ...capture.parts_in_turn import PartsInTurn
from ...errors import UnsupportedModelError
from ...models import VisionTransformer
from ...models.skeleton import without_hooks
from ..layer_record import LayerRecord

__all__ = ["check_images"]


def check_images(record: LayerRecord, vit: VisionTransformer) -> None:
    """Raise unless the first layer's attention of the first image is that of the image alone.

    It is run alone only where there are as many images as heads, so that shapes do not tell which
    is which. Code that cannot run it alone (masks of each image), and blocks that are lists of
    modules, are not looked at.

    Parameters
    ----------
    record : LayerRecord
        Of layer 0.
    vit : VisionTransformer

    Raises
    ------
    UnsupportedModelError
        If it is the attention of the first head of all images.
    """
    batch, heads = record.v.shape[:2]
    if batch != heads or batch == 1 or isinstance(vit.blocks[0], PartsInTurn):
        return
    block = without_hooks(vit.blocks[0])  # the user's are called once a pass
    with (
        torch.no_grad(),
        Capture(block, {block: 0}, token_first=vit.token_first) as capture,
    ):
        try:
            record.block.rerun(block, record.input[:1])
        except (RuntimeError, ValueError, IndexError, TypeError):
            return
    if len(capture.attention_calls) != 1:
        return
    (call,) = capture.attention_calls
    image = replace(
        record,
        q=call.q, k=call.k, v=call.v, out=call.out,
        scale=call.scale, bias=call.bias, weights=call.weights, change=call.change,
    )  # fmt: skip
    middle = record.out.shape[2] // 2
    row = slice(middle, middle + 1)
    alone, together = image.attention(slice(None), row), record.attention(slice(None), row)
    if alone.shape != together[:1].shape or is_close(together[:1], alone, record.v):
        return
    if is_close(together[:, :1].transpose(0, 1), alone, record.v):
        raise UnsupportedModelError(
            f"{vit.name} computes its attention heads first, and there are as many images as "
            f"heads ({batch}), so one would be taken for the other: pass another number of images."
        )
