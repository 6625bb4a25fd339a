"""Run a Swin Transformer and keep what its windowed attention did."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack

import torch
from torch import Tensor, nn

from ..capture.calls import AttentionCall
from ..capture.function_mode import Capture
from ..errors import CaptureError
from ..models.eval_mode import evaluating
from ..models.images import ImageLike
from .block import WindowBlock
from .layout import WindowLayout
from .result import WindowAttention
from .swin import SwinTransformer, describe_windows

__all__ = ["window_attention"]


def window_attention(model: nn.Module, images: ImageLike | Sequence[ImageLike]) -> WindowAttention:
    """Run a Swin Transformer once and record the attention inside its windows.

    Parameters
    ----------
    model : nn.Module
        A SwinTransformer, SwinTransformerV2 or SwinTransformerV2Cr of timm; it is not changed. A
        model in training mode is run in evaluation mode and left in training mode.
    images : image, float tensor, or list of images
        A path, bytes, PIL image or HWC uint8 array goes through the model's own preprocessing; a
        float tensor [3, H, W] or [batch, 3, H, W] is taken as model input.

    Returns
    -------
    WindowAttention
        Queries, keys and biases of all blocks; attention is formed from them when asked for.

    Raises
    ------
    UnsupportedModelError
        For any other model, with what can be shown of it.
    ImageError, ParameterError, CaptureError
        If the images or the model's output do not fit.

    Examples
    --------
    >>> import timm, torch, vit_attention_widget as vaw
    >>> model = timm.create_model("swin_tiny_patch4_window7_224", img_size=56, num_classes=3)
    >>> attention = vaw.window_attention(model, torch.zeros(3, 56, 56))
    >>> attention
    <WindowAttention of swin_tiny_patch4_window7_224: 1 image(s), 12 blocks on grids of 14 x 14, \
7 x 7, 4 x 4, 2 x 2 tokens>
    >>> attention.blocks[1].window, attention.blocks[1].shift, attention.blocks[1].num_heads
    ((7, 7), (3, 3), 3)
    >>> attention.from_patch(block=1, row=5, col=12).shape  # [batch, head, row, col]
    torch.Size([1, 3, 14, 14])
    """
    swin = describe_windows(model)
    inputs = swin.prepare(images)
    swin.check_size(inputs)
    blocks: dict[int, WindowBlock] = {}

    def on_block(index: int) -> None:
        # What was recorded is let go of block by block: head outputs and values are not needed.
        rows, cols = capture.block_calls.pop(index).input.shape[1:3]
        layout = swin.layout(index, int(rows), int(cols))
        calls = [call for call in capture.attention_calls if call.block == index]
        capture.attention_calls.clear()
        blocks[index] = _block(swin, index, layout, calls, len(inputs))

    with evaluating(swin.model), ExitStack() as stack:
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.no_grad())
        if inputs.is_inference():
            inputs = inputs.clone()
        numbers = {block: i for i, block in enumerate(swin.blocks)}
        capture = stack.enter_context(Capture(swin.model, numbers, on_block=on_block))
        logits: Tensor = swin.model(inputs)
    if not isinstance(logits, Tensor) or not torch.isfinite(logits).all():
        raise CaptureError(
            f"The output of {swin.name} is not a tensor of finite numbers: look for NaN or "
            "infinity in its weights, overflow in half precision, or a changed forward."
        )
    return WindowAttention(swin, inputs, logits, tuple(blocks[i] for i in sorted(blocks)))


def _block(
    swin: SwinTransformer, index: int, layout: WindowLayout, calls: list[AttentionCall], batch: int
) -> WindowBlock:
    """What one block's attention was made of, or why that is not known."""
    expected = batch * layout.num_windows, layout.window_tokens
    if len(calls) != 1 or (calls[0].q.shape[0], calls[0].q.shape[-2]) != expected:
        shapes = [list(call.q.shape) for call in calls] or "none"
        raise CaptureError(
            f"Block {index} of {swin.name} should attend once, in {expected[0]} windows of "
            f"{expected[1]} tokens ({batch} images), but queries {shapes} were seen: this version "
            "of timm or a change of the model does something else, which cannot be placed."
        )
    call = calls[0]
    if call.weights is not None or call.change is not None:
        raise CaptureError(
            f"The scores of block {index} of {swin.name} are not q @ k.T * scale + bias, so its "
            "windows cannot be laid out: a change of the model does something else."
        )
    stage = swin.stages[index]
    windows = (batch, layout.num_windows)
    # Copies, as views would keep the values of the block alive.
    q, k = (t.detach().unflatten(0, windows).clone() for t in (call.q * call.scale, call.k))
    return WindowBlock(
        stage=stage,
        index=swin.stages[:index].count(stage),
        layout=layout,
        patch=swin.patch(stage),
        num_heads=q.shape[2],
        q=q,
        k=k,
        bias=None if call.bias is None else _compact(call.bias.detach(), windows),
    )


def _compact(bias: Tensor, windows: tuple[int, int]) -> Tensor:
    """A bias as [batch or 1, window or 1, head, query, key], once where images share it."""
    window_shape = bias.shape[-3:]
    if bias.shape[:-3].numel() == 1:
        return bias.reshape(1, 1, *window_shape).clone()
    bias = bias.reshape(*windows, *window_shape)
    same = bool((bias == bias[:1]).all())
    return bias[:1].clone() if same else bias
