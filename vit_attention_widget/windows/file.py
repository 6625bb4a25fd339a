"""Windowed attention in a file: what was recorded, without the model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image
from torch import Tensor

from ..models.image_input import Normalization, pictures
from ..results.files import reading
from ..results.storage import JsonObject, read_tensors, write_tensors
from .block import WindowBlock
from .layout import WindowLayout

if TYPE_CHECKING:
    from .result import WindowAttention

__all__ = ["SavedSwin", "load", "save"]

_KIND = "window attention"


@dataclass(frozen=True)
class SavedSwin:
    """What a file keeps of a Swin Transformer.

    Attributes
    ----------
    name : str
    normalization : tuple
        Mean and standard deviation of the input, per channel.
    """

    name: str
    normalization: Normalization

    def picture(self, inputs: Tensor) -> list[Image.Image]:
        """What the model saw: inputs [batch, 3, height, width] back as RGB pictures."""
        return pictures(inputs, self.normalization)


def save(windows: WindowAttention, path: str | Path) -> None:
    """See :meth:`~.result.WindowAttention.save`."""
    tensors = {"inputs": windows.inputs, "logits": windows.logits}
    for number, block in enumerate(windows.blocks):
        tensors |= {f"{number}.q": block.q, f"{number}.k": block.k}
        if block.bias is not None:
            tensors[f"{number}.bias"] = block.bias
    mean, std = windows.model.normalization
    about = {
        "name": windows.model.name,
        "normalization": [list(map(float, mean)), list(map(float, std))],
        "blocks": [_described(block) for block in windows.blocks],
    }
    write_tensors(path, _KIND, tensors, about)


def load(path: str | Path) -> tuple[SavedSwin, Tensor, Tensor, tuple[WindowBlock, ...]]:
    """The fields of a :class:`~.result.WindowAttention`."""
    hint = "write it with window_attention(model, images).save(path)"
    tensors, about = read_tensors(path, _KIND, hint=hint)
    with reading(path):
        mean, std = about["normalization"]
        swin = SavedSwin(about["name"], (tuple(mean), tuple(std)))
        blocks = [_block(number, each, tensors) for number, each in enumerate(about["blocks"])]
        return swin, tensors["inputs"], tensors["logits"], tuple(blocks)


def _described(block: WindowBlock) -> JsonObject:
    return {
        "stage": block.stage,
        "index": block.index,
        "grid": [block.rows, block.cols],
        "window": block.window,
        "shift": block.shift,
        "patch": block.patch,
    }


def _block(number: int, about: JsonObject, tensors: dict[str, Tensor]) -> WindowBlock:
    rows, cols = _pair(about["grid"])
    layout = WindowLayout(rows, cols, _pair(about["window"]), _pair(about["shift"]))
    q, k, bias = (tensors.get(f"{number}.{name}") for name in ("q", "k", "bias"))
    expected = (layout.num_windows, layout.window_tokens)
    if q is None or k is None or q.shape != k.shape or (*q.shape[1:2], *q.shape[3:4]) != expected:
        raise ValueError(f"the queries and keys of block {number} do not fit its windows")
    return WindowBlock(
        stage=int(about["stage"]),
        index=int(about["index"]),
        layout=layout,
        patch=_pair(about["patch"]),
        num_heads=int(q.shape[2]),
        q=q,
        k=k,
        bias=bias,
    )


def _pair(numbers: Sequence[int]) -> tuple[int, int]:
    first, second = numbers
    return int(first), int(second)
