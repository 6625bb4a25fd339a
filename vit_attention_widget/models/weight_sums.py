"""A checksum of every tensor that a model saves, also as it is once it is rounded to fewer bits."""

from __future__ import annotations

import json
import zlib

import torch
from torch import Tensor, nn

__all__ = ["same_weights", "sum_of", "weight_sums"]

_PRECISIONS = (torch.float64, torch.float32, torch.float16, torch.bfloat16)
_FLOAT16, _BFLOAT16, _OTHER = 2, 3, len(_PRECISIONS)


def weight_sums(model: nn.Module) -> Tensor:
    """Checksums of parameters, saved buffers and packed weights, [tensor, 5] int64.

    First which precision a tensor has, then its checksum in float64, float32, float16 and bfloat16;
    -1 in those that are wider than it is. What has no such precision has one checksum in all.
    """
    rows = [_row(value) for value in model.state_dict().values()]
    return torch.tensor(rows, dtype=torch.int64).reshape(-1, 1 + len(_PRECISIONS))


def same_weights(some: Tensor, others: Tensor) -> tuple[Tensor, bool]:
    """Which tensors are the same in some precision, [tensor] bool, and whether that could be told.

    It cannot be told of float16 beside bfloat16, which are taken for the same.
    """
    shared = (some == others) & (some != -1)
    kinds = torch.stack([some[:, 0], others[:, 0]])
    unknown = (kinds.amin(0) == _FLOAT16) & (kinds.amax(0) == _BFLOAT16)
    return shared[:, 1:].any(1) | unknown, not bool(unknown.any())


def sum_of(value: object) -> object:
    """What differs where a value of a ``state_dict`` does, as JSON has it."""
    if isinstance(value, list | tuple):
        return [sum_of(part) for part in value]
    if not isinstance(value, Tensor):
        return str(value)
    about = f"{value.dtype} {list(value.shape)}"
    try:
        if value.is_quantized:
            return [about, str(value.qscheme()), sum_of(value.int_repr()), str(value.dequantize())]
        return [about, _crc(value)]
    except (RuntimeError, TypeError, NotImplementedError):  # other libraries' kinds of tensors
        return [about, str(value)]


def _row(value: object) -> list[int]:
    dtype = value.dtype if isinstance(value, Tensor) else None
    if dtype in _PRECISIONS and isinstance(value, Tensor):
        number, shape = _PRECISIONS.index(dtype), zlib.crc32(str(list(value.shape)).encode())
        try:
            sums = [_crc(value.detach().to(to), shape) for to in _PRECISIONS[number:]]
            return [number, *[-1] * number, *sums]
        except (RuntimeError, TypeError, NotImplementedError):
            pass
    return [_OTHER, *[zlib.crc32(json.dumps(sum_of(value)).encode())] * len(_PRECISIONS)]


def _crc(tensor: Tensor, start: int = 0) -> int:
    flat = tensor.detach().cpu().contiguous().flatten()
    return zlib.crc32(flat.view(torch.uint8).numpy().data, start)
