"""Run a model and keep what its attention did."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from ..capture.function_mode import AttentionCall, Capture
from ..errors import CaptureError, UnsupportedModelError
from ..models import VisionTransformer, describe, zero_shot
from ..models.eval_mode import evaluating
from ..models.head_index import Heads, HeadsLike, check_heads, check_mask
from ..support.progress import Progress
from ..targets.user_target import resolve
from .forward_pass import ForwardPass, autocast_dtype
from .layer_record import sort_calls
from .trace import Trace

__all__ = ["first_difference", "remask", "trace"]


def trace(
    model: nn.Module | VisionTransformer,
    images: Any,
    target: Any = None,
    *,
    text: Any = None,
    head_mask: HeadsLike | None = None,
    gradients: bool = True,
    progress: Progress | None = None,
) -> Trace:
    """Run the model once and keep what its attention did.

    Parameters
    ----------
    model : nn.Module
        A supported Vision Transformer; it is not changed. A model in training mode is run in
        evaluation mode and left in training mode.
    images : image, float tensor, or list of images
        A path, bytes, PIL image or HWC uint8 array goes through the model's own preprocessing; a
        float tensor [3, H, W] or [batch, 3, H, W] is taken as model input.
    target : optional
        What gradients explain: None (the predicted class), a class index or name, one of these
        per image, one of :mod:`~vit_attention_widget.targets`, or a callable logits
        [batch, class] -> [batch].
    text : str or list of str, optional
        Prompts that stand for classes, for models with a text tower; the first is explained unless
        ``target`` says which. See :func:`~vit_attention_widget.zero_shot`.
    head_mask : dict or iterable of (layer, head), optional
        Heads whose outputs are set to zero before the output projection: ``{layer: [heads]}`` or
        pairs; layer -1 is the last.
    gradients : bool
        Keep what a backward pass needs. Without it a trace is smaller and gradient methods raise.
    progress : callable, optional
        Called with (fraction in [0, 1], label) after each block; it may raise
        :class:`~vit_attention_widget.errors.JobCancelled` to stop.

    Returns
    -------
    Trace

    Raises
    ------
    UnsupportedModelError, ImageError, TargetError, ParameterError, CaptureError
        If the model, the images, the target, the heads or the model's output do not fit.

    Examples
    --------
    >>> import vit_attention_widget as vaw
    >>> model = vaw.demo.load_model()
    >>> found = vaw.trace(model, vaw.demo.scene(seed=1).image)
    >>> found.attention(layer=2, head=0, query=0).shape == (1, found.tokens.num_tokens)
    True
    """
    vit = describe(model)
    if text is not None:
        vit, target = zero_shot(vit, text), 0 if target is None else target
    inputs = vit.prepare(images)
    tokens = vit.tokens(inputs)
    mask = check_mask(vit, head_mask)
    with ExitStack() as stack:
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.set_grad_enabled(gradients))
        stack.enter_context(evaluating(vit.model))
        if inputs.is_inference():
            inputs = inputs.clone()
        capture = stack.enter_context(_capture(vit, mask, gradients, progress))
        logits = vit.forward(inputs)
    _check_logits(logits, vit, len(inputs))
    layers, pool = sort_calls(capture, vit, tokens)
    dtype = autocast_dtype(inputs.device)
    recorded = ForwardPass(vit, inputs, logits, tokens, layers, pool, mask, dtype)
    return Trace(recorded, resolve(target, logits, vit))


def remask(base: Trace, heads: HeadsLike, *, progress: Progress | None = None) -> Trace:
    """A trace with other heads masked, from the first layer that differs on.

    The layers below are shared with ``base``; only those above run again.

    Parameters
    ----------
    base : Trace
    heads : dict or iterable of (layer, head)
        To mask, instead of those that ``base`` has masked.
    progress : callable, optional
        As for :func:`trace`.

    Raises
    ------
    ParameterError, CaptureError
        If a layer or head does not exist, or the logits are not finite.
    """
    vit, mask = base.model, check_heads(base.model, heads)
    first = first_difference(base, mask)
    if first == base.num_layers:
        return base
    gradients = base.has_gradients
    with torch.inference_mode(False), torch.set_grad_enabled(gradients), base.rerunning():
        try:
            base.readout.check()
        except UnsupportedModelError:  # the model does more than its blocks show: run it whole
            return trace(
                vit, base.inputs, base.target, head_mask=mask, gradients=gradients,
                progress=progress,
            )  # fmt: skip
        with _capture(vit, mask, gradients, progress) as capture:
            tokens = base.layers[first].input
            for layer in range(first, base.num_layers):
                tokens = base.layers[layer].block.run_again(vit.blocks[layer], tokens)
            logits = vit.readout(tokens)
    _check_logits(logits, vit, base.batch_size)
    above, pool = sort_calls(capture, vit, base.tokens, first)
    recorded = replace(
        base.forward_pass,
        logits=logits,
        layers=[*base.layers[:first], *above],
        pool=pool or base.pool,
        head_mask=mask,
    )
    return Trace(
        recorded,
        resolve(base.target, logits, vit),
        block_rows=base.block_rows.of(recorded),
        readout=base.readout.of(recorded),
    )


def first_difference(base: Trace, heads: HeadsLike) -> int:
    """The first layer whose masked heads are not ``heads``; the number of layers if all are."""
    masked, wanted = base.head_mask, check_heads(base.model, heads)
    layers = range(base.num_layers)
    return next((i for i in layers if wanted.get(i) != masked.get(i)), base.num_layers)


def _capture(
    vit: VisionTransformer,
    mask: Heads,
    gradients: bool,
    progress: Progress | None,
) -> Capture:
    layer_of: dict[nn.Module, int] = {block: i for i, block in enumerate(vit.blocks)}

    def on_attention(call: AttentionCall) -> Tensor | None:
        if call.block is None:
            return None
        out = call.out
        if mask.get(call.block):
            keep = torch.ones(out.shape[1], dtype=out.dtype, device=out.device)
            keep[list(mask[call.block])] = 0
            out = out * keep[:, None, None]
        if gradients and not out.requires_grad:
            out = out.detach().requires_grad_()
        return out

    def on_block(layer: int) -> None:
        if progress is not None:
            progress((layer + 1) / vit.num_layers, "looking at the image")

    return Capture(vit.model, layer_of, on_attention, on_block=on_block)


def _check_logits(logits: Tensor, vit: VisionTransformer, batch: int) -> None:
    if not isinstance(logits, Tensor) or logits.ndim != 2 or len(logits) != batch:
        shape = list(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        raise UnsupportedModelError(
            f"{vit.name} returned {shape} for {batch} images, but logits [{batch}, "
            "class] were expected: wrap its forward so that it returns those alone."
        )
    if not torch.isfinite(logits).all():
        bad = f"{int(torch.isnan(logits).sum())} NaN, {int(torch.isinf(logits).sum())} infinite"
        raise CaptureError(
            f"The logits of {vit.name} are not finite ({bad}): look for NaN or "
            "infinity in its weights, or overflow in half precision."
        )
