"""The first arguments of most functions: a model and images, or a trace."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass

from torch import nn

from ..data.items import ImagesLike, count_images
from ..data.labels import with_names_of
from ..data.reader import Batch, batches
from ..errors import ImageError, ParameterError
from ..models import VisionTransformer, describe
from ..models.head_index import Heads, HeadsLike, check_mask
from ..models.images import ImageLike
from ..support.progress import ProgressLike
from ..targets.user_target import TargetLike
from .run import trace
from .trace import Trace

__all__ = ["ModelAndImages", "as_trace", "check_nothing_beside_trace", "masks_of"]


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


@dataclass(frozen=True)
class ModelAndImages:
    """What a long function measures: a model and its images, traced already or to be run.

    Attributes
    ----------
    vit : VisionTransformer
    trace : Trace or None
    images : ImagesLike or None
    target : TargetLike
        As it was given; of a trace the name of its own.
    head_mask : dict
        Heads that are masked.
    total : int or None
        Number of images, where that is known.
    """

    vit: VisionTransformer
    trace: Trace | None
    images: ImagesLike | None
    target: TargetLike
    head_mask: Heads
    total: int | None

    @classmethod
    def of(
        cls,
        model_or_trace: nn.Module | VisionTransformer | Trace,
        images: ImagesLike | None = None,
        target: TargetLike = None,
        head_mask: HeadsLike | None = None,
        *,
        executor: Executor | None = None,
    ) -> ModelAndImages:
        """From the arguments of a function.

        Raises
        ------
        ParameterError
            If something is given beside a trace that it has already.
        """
        if isinstance(model_or_trace, Trace):
            trace = model_or_trace
            check_nothing_beside_trace(
                images=images, target=target, head_mask=head_mask, executor=executor
            )
            aim, count = trace.target.name, trace.batch_size
            return cls(trace.model, trace, None, aim, trace.head_mask, count)
        vit = describe(model_or_trace)
        vit = vit if images is None else with_names_of(images, vit)
        mask = check_mask(vit, head_mask)
        return cls(vit, None, images, target, mask, count_images(images))

    def batches(self, size: int) -> Iterator[Batch]:
        """The images with their targets, at most so many at a time."""
        return batches(self.images, self.target, size)


def masks_of(model_or_traces: object) -> list[Heads]:
    """The masked heads of a trace, or of each of some traces; none of a model."""
    traces = model_or_traces if isinstance(model_or_traces, list | tuple) else [model_or_traces]
    return [trace.head_mask for trace in traces if isinstance(trace, Trace)]
