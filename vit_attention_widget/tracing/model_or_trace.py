"""The first arguments of most functions: a model and images, or a trace."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from ..errors import ImageError, ParameterError
from ..models import VisionTransformer
from ..models.head_index import Heads, HeadsLike
from ..models.images import ImageLike
from ..support.progress import ProgressLike
from ..targets.user_target import TargetLike
from .run import trace
from .trace import Trace

__all__ = ["as_trace", "check_nothing_beside_trace", "masks_of"]


def as_trace(
    model_or_trace: nn.Module | VisionTransformer | Trace,
    images: ImageLike | Sequence[ImageLike] | None = None,
    target: TargetLike = None,
    *,
    head_mask: HeadsLike | None = None,
    gradients: bool = True,
    progress: ProgressLike = None,
) -> Trace:
    """Trace a model on images; a trace is returned unchanged.

    Parameters are those of :func:`~.run.trace`.

    Raises
    ------
    ParameterError
        If images, a target or a head mask are passed together with a trace.
    UnsupportedModelError, ImageError, TargetError, CaptureError
        As :func:`~.run.trace`.
    """
    if isinstance(model_or_trace, Trace):
        check_nothing_beside_trace(images=images, target=target, head_mask=head_mask)
        return model_or_trace
    if images is None:
        raise ImageError("There are no images: give a model and images, or a trace alone.")
    return trace(
        model_or_trace,
        images,
        target,
        head_mask=head_mask,
        gradients=gradients,
        progress=progress,
    )


def check_nothing_beside_trace(**arguments: object) -> None:
    """Raise :class:`ParameterError` if any of these, which a trace already has, is not None."""
    extra = [name for name, value in arguments.items() if value is not None]
    if extra:
        raise ParameterError(
            f"{', '.join(extra)} was given beside a trace, which has its own: give the model "
            "instead of the trace, or options by name (metric=..., layer=...)."
        )


def masks_of(model_or_traces: object) -> list[Heads]:
    """The masked heads of a trace, or of each of some traces; none of a model."""
    traces = model_or_traces if isinstance(model_or_traces, list | tuple) else [model_or_traces]
    return [trace.head_mask for trace in traces if isinstance(trace, Trace)]
