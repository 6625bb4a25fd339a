"""Run a model once and record its attention."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace

import torch
from PIL import Image
from torch import Tensor, nn

from ..capture.calls import AttentionCall
from ..capture.function_mode import Capture
from ..capture.graph_breaks import in_graph
from ..errors import CaptureError, UnsupportedModelError
from ..models import VisionTransformer, describe, zero_shot
from ..models.class_names import ClassNamesLike
from ..models.eval_mode import evaluating
from ..models.head_index import Heads, HeadsLike, check_heads, check_mask
from ..models.images import ImageLike
from ..models.output_kind import OutputKind
from ..models.preparation import prepared
from ..models.said_classes import with_classes
from ..models.weights_state import WeightsState, hooks_of
from ..support.interrupts import interrupts_deferred
from ..support.progress import Progress, ProgressLike, no_progress, reporting
from ..targets.user_target import TargetLike, resolve
from .checks.alone import check_alone
from .checks.attention import check_attention
from .checks.classes import classes_as_seen
from .checks.images import check_images
from .checks.readout import pools_as_seen, readout_as_seen, weighed_by_shares
from .checks.sequence import check_chain, check_order, heads_as_seen
from .forward_pass import ForwardPass, autocast_dtype
from .layer_record import assign_to_layers
from .masking import zero_heads
from .memory import keep_freed_blocks, release
from .trace import Trace
from .whole_graph import gradients_or_why_not

__all__ = ["check_logits", "first_difference", "remask", "trace"]


@interrupts_deferred()
def trace(
    model: nn.Module | VisionTransformer,
    images: ImageLike | Sequence[ImageLike],
    target: TargetLike = None,
    *,
    text: str | Sequence[str] | None = None,
    class_names: ClassNamesLike | None = None,
    output: OutputKind | None = None,
    processor: object | None = None,
    transform: Callable[[Image.Image], Tensor] | None = None,
    head_mask: HeadsLike | None = None,
    gradients: bool = True,
    progress: ProgressLike = None,
) -> Trace:
    """Run a model once and record its attention in every layer.

    Parameters
    ----------
    model : nn.Module
        A supported Vision Transformer. It is not modified; a model in training mode runs in
        evaluation mode and is in training mode again afterwards.
    images : image, float tensor, or list of images
        Paths, bytes, PIL images and uint8 arrays [height, width, 3] go through the model's own
        preprocessing; a float tensor [channel, height, width] or [batch, channel, height, width],
        or what a processor returned, is used as model input.
    target : optional
        What gradients explain: None (the predicted class), a class index or name, one of these
        per image, one of :mod:`~vit_attention_widget.targets`, or a callable logits
        [batch, class] -> [batch].
    text : str or list of str, optional
        Prompts to use as classes, for models with a text tower. The first is explained unless
        ``target`` chooses another. See :func:`~vit_attention_widget.zero_shot`.
    class_names : sequence of str, mapping or path, optional
        What the classes are called: a list, ``{index: name}``, or a .txt or .json file of these. By
        default what the model's configuration says.
    output : {"softmax", "sigmoid", "value", "features"}, optional
        What the numbers that the model returns stand for, see
        :func:`~vit_attention_widget.describe`; found by default.
    processor : image processor of transformers, optional
    transform : callable, optional
        How pictures become the model's input, see :func:`~vit_attention_widget.describe`.
        ``trace.preparation`` says what was taken, and on what ground.
    head_mask : dict or iterable of (layer, head), optional
        Heads whose outputs are set to zero before the output projection: ``{layer: [heads]}`` or
        (layer, head) pairs; layer -1 is the last.
    gradients : bool
        Keep the autograd graph. Without it the trace takes less memory, and methods that need
        gradients raise.
    progress : callable or bool, optional
        A function of (fraction in [0, 1], label), called after each block, or True for a progress
        bar. The function may raise :class:`~vit_attention_widget.errors.JobCancelled` to stop.

    Returns
    -------
    Trace

    Raises
    ------
    UnsupportedModelError
        If the model is not a supported Vision Transformer or does not return logits.
    ImageError
        If an image cannot be read or does not have the model's input size.
    TargetError
        If the model has no such target.
    ParameterError
        If a head to mask does not exist, ``progress`` is neither a function nor a bool, or the
        class names or the kind of output cannot be taken.
    CaptureError
        If no attention was observed in some layer, or the logits are not finite; with gradients
        also if the weights were made under ``torch.inference_mode()``.

    Examples
    --------
    >>> import vit_attention_widget as vaw
    >>> model = vaw.demo.load_model()
    >>> trace = vaw.trace(model, vaw.demo.scene(seed=1).image)
    >>> trace.attention(layer=2, head=0, query=0).shape == (1, trace.tokens.num_tokens)
    True
    """
    vit = describe(model)
    if text is not None:
        vit, target = zero_shot(vit, text), 0 if target is None else target
    vit = prepared(with_classes(vit, class_names, output), processor, transform)
    inputs = vit.prepare(images)
    tokens = vit.tokens(inputs)
    mask = check_mask(vit, head_mask)
    weights = WeightsState.of(vit.model)
    keep_freed_blocks(inputs.device)
    with evaluating(vit.model), ExitStack() as stack:
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.set_grad_enabled(gradients))
        if inputs.is_inference():
            inputs = inputs.clone()
        report = stack.enter_context(reporting(progress))
        with gradients_or_why_not(vit), _capture(vit, mask, gradients, report) as capture:
            logits = vit.forward(inputs)
            graph_breaks = _graph_breaks(capture, logits)
        check_logits(logits, vit, len(inputs))
        vit = classes_as_seen(vit, logits)
        check_order(capture.block_calls, vit)
        layers, after = assign_to_layers(capture, vit, tokens)
        check_attention(layers, vit)
        check_images(layers[0], vit)
        vit = heads_as_seen(vit, layers)
        last = layers[-1].output
        pools = pools_as_seen(vit, logits, last, after)
        vit, read = readout_as_seen(vit, logits, last, tokens, pools, hidden=not after)
        if not after and capture.weighs_tokens_in is not None:
            read = weighed_by_shares(read, capture.weighs_tokens_in)
    if capture.hidden_layers.are_left_out:  # freed ones lie between what is kept
        release(inputs.device)
    dtype = autocast_dtype(inputs.device)
    how = vit.says_preparation(images)
    recorded = ForwardPass(
        vit, inputs, logits, tokens, layers, pools, read, mask, dtype, weights, how, graph_breaks,
        hooks_of(vit.model),  # as they are now: some libraries install theirs in the first pass
    )  # fmt: skip
    return Trace(recorded, resolve(target, logits, vit))


def remask(base: Trace, heads: HeadsLike, *, progress: Progress = no_progress) -> Trace:
    """A trace of the same model and images with other heads masked.

    Layers below the first one whose masked heads differ are shared with ``base``; only that one and
    those above run again.

    Parameters
    ----------
    base : Trace
    heads : dict or iterable of (layer, head)
        The heads to mask, in place of those masked in ``base``.
    progress : callable
        A function of (fraction in [0, 1], label), called after each block.

    Returns
    -------
    Trace
        ``base`` itself if the same heads are masked in it.

    Raises
    ------
    ParameterError
        If a layer or head does not exist.
    CaptureError
        If the logits are not finite.
    StaleTraceError
        If the model has changed since ``base`` was made.
    """
    vit, mask = base.model, check_heads(base.model, heads)
    first = first_difference(base, mask)
    if first == base.num_layers:
        return base
    gradients = base.has_gradients
    with base.rerunning(), torch.inference_mode(False), torch.set_grad_enabled(gradients):
        try:
            base.readout.check()
            check_chain(base.layers, vit)
            check_alone(base.forward_pass)
        except UnsupportedModelError:  # the blocks and the head are not the whole model
            return trace(
                vit, base.inputs, base.target, head_mask=mask, gradients=gradients,
                progress=progress,
            )  # fmt: skip
        with _capture(vit, mask, gradients, progress) as capture:
            tokens = base.layers[first].input
            for layer in range(first, base.num_layers):
                tokens = base.layers[layer].block.rerun(vit.blocks[layer], tokens)
            logits = vit.readout(tokens)
            graph_breaks = _graph_breaks(capture, logits)
        check_logits(logits, vit, base.batch_size)
        above, after = assign_to_layers(capture, vit, base.tokens, first)
        check_attention(above, vit, first)
        pools = pools_as_seen(vit, logits, above[-1].output, after)
    recorded = replace(
        base.forward_pass,
        logits=logits,
        layers=[*base.layers[:first], *above],
        pools=pools,
        head_mask=mask,
        graph_breaks=tuple(dict.fromkeys((*base.forward_pass.graph_breaks, *graph_breaks))),
    )
    return Trace(
        recorded,
        resolve(base.target, logits, vit),
        block_rows=base.block_rows.of(recorded),
        readout=base.readout.of(recorded),
    )


def first_difference(base: Trace, heads: HeadsLike) -> int:
    """The first layer whose masked heads differ from ``heads``; the layer count if none does."""
    masked, wanted = base.head_mask, check_heads(base.model, heads)
    layers = range(base.num_layers)
    return next((i for i in layers if wanted.get(i) != masked.get(i)), base.num_layers)


def _capture(
    vit: VisionTransformer,
    mask: Heads,
    gradients: bool,
    progress: Progress,
) -> Capture:
    layer_of: dict[nn.Module, int] = {block: i for i, block in enumerate(vit.blocks)}

    def on_attention(call: AttentionCall) -> Tensor | None:
        if call.block is None:
            return None
        out = call.out
        if mask.get(call.block):
            out = zero_heads(out, mask[call.block])
        return in_graph(out) if gradients else out

    def on_block(layer: int) -> None:
        progress((layer + 1) / vit.num_layers, "running the model")

    return Capture(
        vit.model, layer_of, on_attention, on_block=on_block, from_norm=gradients,
        token_first=vit.token_first,
    )  # fmt: skip


def _graph_breaks(capture: Capture, logits: object) -> tuple[str, ...]:
    """Paths of modules in which a finished pass left the autograd graph."""
    if isinstance(logits, Tensor):
        capture.graph_breaks.check_end(logits)
    return tuple(capture.graph_breaks.paths)


def check_logits(logits: Tensor, vit: VisionTransformer, batch: int) -> None:
    """Raise unless these are finite logits, [batch, class]."""
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
