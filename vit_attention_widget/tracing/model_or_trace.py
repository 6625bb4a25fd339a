"""A trace from a model and images, or the trace that was given in their place."""

from __future__ import annotations

from typing import Any

from torch import nn

from ..errors import ParameterError
from ..models import VisionTransformer
from ..models.head_index import HeadsLike
from ..support.progress import Progress
from .run import trace
from .trace import Trace

__all__ = ["as_trace", "check_nothing_beside_trace"]


def as_trace(
    model_or_trace: nn.Module | VisionTransformer | Trace,
    images: Any = None,
    target: Any = None,
    *,
    head_mask: HeadsLike | None = None,
    gradients: bool = True,
    progress: Progress | None = None,
) -> Trace:
    """Trace a model on images, unless a trace is given: that is returned as it is.

    Parameters are those of :func:`~.run.trace`.

    Raises
    ------
    ParameterError
        If images, a target or a head mask are given beside a trace, which has its own.
    UnsupportedModelError, ImageError, TargetError, CaptureError
    """
    if isinstance(model_or_trace, Trace):
        check_nothing_beside_trace(images=images, target=target, head_mask=head_mask)
        return model_or_trace
    return trace(
        model_or_trace,
        images,
        target,
        head_mask=head_mask,
        gradients=gradients,
        progress=progress,
    )


def check_nothing_beside_trace(**arguments: object) -> None:
    """Raise :class:`ParameterError` if any argument is not None: a trace has its own."""
    extra = [name for name, value in arguments.items() if value is not None]
    if extra:
        raise ParameterError(
            f"{', '.join(extra)} was given beside a trace, which has its own: give the model "
            "instead of the trace, or options by name (metric=..., layer=...)."
        )
