"""Check float tensors that are taken as model input, before the model sees them."""

from __future__ import annotations

import torch

from ..errors import ImageError
from ..support.words import said

__all__ = ["check_model_input", "check_plain"]


def check_plain(tensor: torch.Tensor) -> torch.Tensor:
    """Return the tensor if its values can be read as they are.

    Raises
    ------
    ImageError
        For a sparse, quantized, nested or meta tensor.
    """
    if tensor.is_nested:
        kind, advice = "nested", "Pass its parts as a list: list(tensor.unbind())."
    elif tensor.is_quantized:
        kind, advice = "quantized", "Use tensor.dequantize()."
    elif tensor.is_meta:
        kind, advice = "meta", "It has a shape but no values: make it on a device."
    elif tensor.layout is not torch.strided:
        kind, advice = f"{str(tensor.layout).removeprefix('torch.')}", "Use tensor.to_dense()."
    else:
        return tensor
    raise ImageError(
        f"Got a {kind} tensor as a picture. Expected a plain one, whose values are all there. "
        f"{advice}"
    )


def check_model_input(tensor: torch.Tensor, channels: int = 3) -> torch.Tensor:
    """Check a float tensor that is taken as model input, and give it its batch axis.

    Parameters
    ----------
    tensor
        ``[channel, height, width]`` or ``[batch, channel, height, width]``, floating point, already
        normalized as the model expects.
    channels
        How many input channels the model has.

    Returns
    -------
    torch.Tensor
        ``[batch, channel, height, width]``: a view of the same values.

    Raises
    ------
    ImageError
        For another dtype or shape, for an empty tensor, for NaN or infinite values, and for one
        whose values cannot be read.
    """
    one = f"{channels}, height, width]"
    expected = f"Model input is a float tensor [{one} or [batch, {one}"
    shape = list(check_plain(tensor).shape)
    if not tensor.is_floating_point():
        raise ImageError(
            f"Got a tensor of {tensor.dtype} {shape} as model input. {expected}, normalized; "
            "pass a uint8 picture [height, width, 3] to have the model's own preprocessing applied."
        )
    if tensor.ndim not in (3, 4) or tensor.shape[-3] != channels:
        advice = ""
        if tensor.ndim in (3, 4) and tensor.shape[-1] == channels:
            advice = f" The channels seem to be last: use tensor.movedim(-1, {tensor.ndim - 3})."
        raise ImageError(f"Got a tensor of shape {shape} as model input. {expected}.{advice}")
    if tensor.numel() == 0:
        raise ImageError(
            f"Got an empty tensor {shape} as model input. {expected} with at least one pixel."
        )
    batch = tensor if tensor.ndim == 4 else tensor.unsqueeze(0)
    try:
        count, images = _not_finite(batch.detach())
    except (RuntimeError, TypeError) as error:  # fake, of a transform, too large, device lost
        raise ImageError(
            f"The values of a tensor {shape} cannot be read: {said(error)}. {expected} in memory."
        ) from error
    if images:
        raise ImageError(
            f"The model input holds {count} NaN or infinite values (image "
            f"{_listed(images)} of {len(batch)}). Expected finite numbers; look for a division by "
            "zero in the normalization or an overflow of half precision."
        )
    return batch


def _not_finite(batch: torch.Tensor) -> tuple[int, list[int]]:
    """How many values are NaN or infinite, and in which images."""
    broken = ~torch.isfinite(batch)
    if not bool(broken.any()):
        return 0, []
    bad = broken.flatten(1).any(dim=1).tolist()
    return int(broken.sum()), [index for index, is_bad in enumerate(bad) if is_bad]


def _listed(numbers: list[int]) -> str:
    shown = ", ".join(map(str, numbers[:5]))
    return f"{shown}, ..." if len(numbers) > 5 else shown
