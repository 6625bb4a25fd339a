"""Backward passes of a recorded forward pass. Each yields the gradients of all layers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from ..errors import CaptureError, UnsupportedModelError
from ..models import VisionTransformer
from ..models.measured import is_made_for_inference
from ..support.interrupts import interrupts_deferred
from ..targets import Target
from .block_rows import BlockRows
from .forward_pass import ForwardPass
from .layer_record import LayerRecord
from .readout import Readout

__all__ = [
    "check_graph",
    "check_whole",
    "differentiate",
    "gradients_or_why_not",
    "output_gradients",
    "token_gradients",
    "tokens_are_small",
]

_NAMED = 3
"""At most so many modules are named in an error."""

_WAY_OUT = (
    "Trace the model in floating point and without these, or use a method that needs no gradient "
    "(attention, rollout)."
)


_SMALL = 2**26
"""Gradients of all tokens that take at most so many bytes come with those of the heads."""


def output_gradients(
    recorded: ForwardPass, block_rows: BlockRows, readout: Readout, target: Target
) -> tuple[list[Tensor], list[Tensor | None] | None]:
    """Gradient of the target with respect to each layer's head outputs.

    Returns
    -------
    of_heads : list of Tensor
        One [batch, head, token, head_dim] per layer; 0 for masked heads.
    of_tokens : list of (Tensor or None), or None
        What the same pass yields for :func:`token_gradients`: None unless
        :func:`tokens_are_small`.

    Raises
    ------
    CaptureError
        If the forward pass was recorded without gradients, or the graph is broken in some module.
    StaleTraceError
        If the model has changed since.
    """
    check_graph(recorded)
    outputs, small = [record.out for record in recorded.layers], tokens_are_small(recorded)
    tokens = _tokens(recorded.layers[:-1])
    with interrupts_deferred(), torch.inference_mode(False), torch.enable_grad():
        last = _last_block_gradients(recorded, block_rows, readout, target)
        starts: list[tuple[Tensor, Tensor | None]]  # where the backward pass starts, and with what
        if last is None:
            starts = [(target.score(recorded.logits).sum(), None)]
            tokens.append(recorded.layers[-1].output)
        else:
            of_last = zip((outputs[-1], recorded.layers[-1].input), last[:2], strict=True)
            starts = [(tensor, gradient) for tensor, gradient in of_last if tensor.requires_grad]
        tensors, upstream = zip(*starts, strict=True)
        wanted = [*outputs, *tokens] if small else outputs
        gradients = torch.autograd.grad(
            tensors, wanted, upstream, retain_graph=True, allow_unused=True
        )
        of_heads, of_tokens = gradients[: len(outputs)], gradients[len(outputs) :]
        return (
            [_of_heads(recorded, layer, gradient) for layer, gradient in enumerate(of_heads)],
            [*of_tokens, *([] if last is None else last[2:])] if small else None,
        )


def tokens_are_small(recorded: ForwardPass) -> bool:
    """Whether gradients of tokens come with those of the heads: where they take at most 64 MB."""
    tokens = _tokens(recorded.layers)
    return sum(each.numel() * each.element_size() for each in tokens) <= _SMALL


def token_gradients(
    recorded: ForwardPass, target: Target, of_tokens: Sequence[Tensor | None] | None = None
) -> list[tuple[Tensor, Tensor | None]]:
    """Gradient of the target with respect to each layer's tokens.

    Parameters
    ----------
    recorded : ForwardPass
    target : Target
    of_tokens : sequence of (Tensor or None), optional
        What :func:`output_gradients` has of these: it spares all but the last block's pass.

    Returns
    -------
    list of (Tensor, Tensor or None)
        For each layer the gradients with respect to the tokens after the block, and with respect to
        the output of the block's first norm (None if there is no such norm), [batch, token, dim].

    Raises
    ------
    CaptureError
        If the forward pass was recorded without gradients, the graph is broken in some module, or
        the logits do not depend on the tokens after some block.
    StaleTraceError
        If the model has changed since.
    """
    check_graph(recorded)
    records, below = recorded.layers, recorded.num_layers - 1
    gradients: Sequence[Tensor | None]
    with interrupts_deferred(), torch.inference_mode(False), torch.enable_grad():
        if of_tokens is None:
            score = target.score(recorded.logits).sum()
            tensors = _tokens(records)
            gradients = torch.autograd.grad(score, tensors, retain_graph=True, allow_unused=True)
        else:
            after, of_last = records[-1].output, of_tokens[-1]
            inside = _tokens(records[-1:])[1:]  # of the norm, if there is one
            gradients = [*of_tokens[:below], of_last, *of_tokens[below:-1]]
            if inside and of_last is not None:
                gradients += torch.autograd.grad(
                    after, inside, of_last, retain_graph=True, allow_unused=True
                )
    of_after, of_normed = gradients[: len(records)], iter(gradients[len(records) :])
    pairs = []
    for layer, (gradient, record) in enumerate(zip(of_after, records, strict=True)):
        if gradient is None:
            raise CaptureError(
                f"The logits of {recorded.model.name} do not depend on the tokens that layer "
                f"{layer} returned, so there is no gradient with respect to these: use a method "
                "that needs only the gradient of the attention (daam, gmar, relevance)."
            )
        pairs.append((gradient, None if record.block.normed is None else next(of_normed)))
    return pairs


def _tokens(records: Sequence[LayerRecord]) -> list[Tensor]:
    """The tokens after each block; then, where there is one, the output of its first norm."""
    normed = [record.block.normed for record in records]
    return [*(record.output for record in records), *(x for x in normed if x is not None)]


def _last_block_gradients(
    recorded: ForwardPass, block_rows: BlockRows, readout: Readout, target: Target
) -> tuple[Tensor, Tensor, Tensor] | None:
    """Gradient of the target with respect to the last block's head outputs, input and output.

    If only a few tokens are read out, the part of the last block after its attention is computed
    again for these alone, and the backward pass does not go through its MLP for all others. The
    gradient with respect to the input is that of the residual connection. None if the last block
    cannot be recomputed in this way.
    """
    model, last = recorded.model, recorded.num_layers - 1
    if model.readout_rows is None:
        return None
    record, rows = recorded.layers[last], list(model.readout_rows)
    with recorded.rerunning():
        try:
            readout.check()
        except UnsupportedModelError:
            return None
        if not block_rows.can_finish(last):
            return None
        inputs = record.input.detach()[:, rows].requires_grad_()
        out = record.out.detach()[:, :, rows].requires_grad_()
        after = block_rows.finish(last, inputs, out)
        score = target.score(model.readout(after)).sum()
    of_out, of_inputs, of_after = differentiate(recorded, score, (out, inputs, after))
    with torch.no_grad():
        all_out, all_inputs, all_after = (
            torch.zeros_like(tensor) for tensor in (record.out, record.input, record.output)
        )
        all_out[:, :, rows], all_inputs[:, rows] = of_out, of_inputs
        all_after[:, rows] = of_after
    return all_out, all_inputs, all_after


def _of_heads(recorded: ForwardPass, layer: int, gradient: Tensor | None) -> Tensor:
    """Gradient with respect to a layer's head outputs, as autograd gave it, 0 for masked heads."""
    record = recorded.layers[layer]
    if gradient is not None:
        return gradient.masked_fill(record.masked, 0)
    if not record.out.numel():  # all heads were cut out
        return torch.zeros_like(record.out)
    raise CaptureError(
        f"The logits of {recorded.model.name} do not depend on the attention of layer {layer}, as "
        "far as autograd can tell, so there is no gradient with respect to it: trace the part of "
        "the model whose result goes through that layer, or use a method that needs no gradient "
        "(attention, rollout)."
    )


def differentiate(
    recorded: ForwardPass,
    outputs: Tensor | Sequence[Tensor],
    inputs: Sequence[Tensor],
    upstream: Tensor | None = None,
) -> tuple[Tensor, ...]:
    """Gradients of something that was computed from parts of the model again.

    Raises
    ------
    CaptureError
        If it does not depend on one of the inputs, as far as autograd can tell.
    """
    outputs = [outputs] if isinstance(outputs, Tensor) else outputs
    gradients: Sequence[Tensor | None] = [None]
    if all(output.requires_grad for output in outputs):
        starts = None if upstream is None else [upstream]
        gradients = torch.autograd.grad(outputs, inputs, starts, allow_unused=True)
    if any(gradient is None for gradient in gradients):
        raise CaptureError(
            f"Parts of {recorded.model.name} have no gradient (int8 weights, detach() or "
            f"no_grad()). {_WAY_OUT}"
        )
    return tuple(gradient for gradient in gradients if gradient is not None)


def check_graph(recorded: ForwardPass) -> None:
    """Raise :class:`CaptureError` unless gradients of the recorded pass are there and whole."""
    if not recorded.has_gradients:
        raise CaptureError(
            "This trace was recorded without gradients: trace again with gradients=True, "
            "or use a method that needs none (attention, rollout)."
        )
    recorded.check_weights()
    check_whole(recorded)
    if not recorded.logits.requires_grad:
        raise CaptureError(
            f"The logits of {recorded.model.name} have no gradient: they were detached. {_WAY_OUT}"
        )


def check_whole(recorded: ForwardPass, graph_breaks: Sequence[str] | None = None) -> None:
    """Raise :class:`CaptureError` if modules were seen in which the graph is broken.

    Those of the recorded pass, or of parts of the model that were run again.
    """
    paths = recorded.graph_breaks if graph_breaks is None else graph_breaks
    if not paths:
        return
    modules: dict[str, nn.Module] = dict(recorded.model.model.named_modules())
    named = ", ".join(
        f"{path!r} ({type(modules[path]).__name__})"
        if modules.get(path) and path
        else "its forward"
        for path in paths[:_NAMED]
    )
    more = f" and {len(paths) - _NAMED} more" if len(paths) > _NAMED else ""
    raise CaptureError(
        f"No gradient goes back through (part of) what these modules of {recorded.model.name} "
        f"compute: {named}{more}. They have int8 weights, or use detach() or no_grad(). {_WAY_OUT}"
    )


@contextmanager
def gradients_or_why_not(vit: VisionTransformer) -> Iterator[None]:
    """Say what to do about code and weights through which PyTorch refuses to take gradients."""
    try:
        yield
    except RuntimeError as error:
        if torch.is_grad_enabled() and "in-place operation" in str(error):
            raise CaptureError(
                f"{vit.name} writes into the outputs of its attention (x += y, x.mul_(y), x[i] = "
                "y), through which PyTorch takes no gradients: write x = x + y; or say "
                "gradients=False, with methods that need none (attention, rollout)."
            ) from error
        if not torch.is_grad_enabled() or not is_made_for_inference(vit.model):
            raise
        raise CaptureError(
            f"The weights of {vit.name} were made under torch.inference_mode(), where PyTorch "
            "takes no gradients through them: make the model outside of it, or give "
            "copy.deepcopy(model), made outside of it; or say gradients=False, with methods that "
            "need none (attention, rollout)."
        ) from error
