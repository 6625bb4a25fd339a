"""Whether gradients of a recorded pass are there and whole, and what to do where they are not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from ..errors import CaptureError
from ..models import VisionTransformer
from ..models.measured import is_made_for_inference
from .forward_pass import ForwardPass

__all__ = ["check_graph", "check_whole", "differentiate", "gradients_or_why_not"]

_NAMED = 3
"""At most so many modules are named in an error."""

_WAY_OUT = (
    "Trace the model in floating point and without these, or use a method that needs no gradient "
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
