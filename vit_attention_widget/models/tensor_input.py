"""Check float tensors that are taken as model input, before the model sees them."""

from __future__ import annotations

import torch

from ..errors import ImageError

__all__ = ["check_model_input"]


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
        For another dtype or shape, for an empty tensor, and for NaN or infinite values.
    """
    one = f"{channels}, height, width]"
    expected = f"Model input is a float tensor [{one} or [batch, {one}"
    shape = list(tensor.shape)
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
    broken = ~torch.isfinite(batch.detach())
    if bool(broken.any()):
        images = [index for index, bad in enumerate(broken.flatten(1).any(dim=1).tolist()) if bad]
        raise ImageError(
            f"The model input holds {int(broken.sum())} NaN or infinite values (image "
            f"{_listed(images)} of {len(batch)}). Expected finite numbers; look for a division by "
            "zero in the normalization or an overflow of half precision."
        )
    return batch


def _listed(numbers: list[int]) -> str:
    shown = ", ".join(map(str, numbers[:5]))
    return f"{shown}, ..." if len(numbers) > 5 else shown
