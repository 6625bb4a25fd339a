"""What maps are made of: a trace that was given, or a model's images traced one at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from torch import Tensor, nn

from ..data.items import ImagesLike
from ..data.kept import kept_inputs, read_once
from ..data.labels import with_names_of
from ..errors import ParameterError
from ..models import VisionTransformer, describe
from ..tracing.run import trace
from ..tracing.trace import Trace

__all__ = ["Source", "sources"]


@dataclass(frozen=True)
class Source:
    """A model's traces.

    Attributes
    ----------
    vit : VisionTransformer
    trace : Trace or None
        The trace that was given, if one was.
    inputs : list of (Tensor, int or None)
        Else each image as model input, with its class where that is known.
    name : str
        What the model is called among others.
    """

    vit: VisionTransformer
    trace: Trace | None
    inputs: list[tuple[Tensor, int | None]]
    name: str = ""

    def __len__(self) -> int:
        """Number of traces."""
        return 1 if self.trace is not None else len(self.inputs)

    def traces(self) -> Iterator[tuple[int, Trace]]:
        """The number of each trace's first image, and the trace."""
        if self.trace is not None:
            yield 0, self.trace
        for index, (image, label) in enumerate(self.inputs):
            yield index, trace(self.vit, image, label)


def sources(
    model_or_trace: nn.Module
    | VisionTransformer
    | Trace
    | Mapping[str, nn.Module | VisionTransformer],
    images: ImagesLike | None,
) -> list[Source]:
    """One source, or one for each of several models.

    Raises
    ------
    ParameterError
        If there is no model, if there are no images for one, or if images stand beside a trace.
    ImageError, TargetError, UnsupportedModelError
    """
    if not isinstance(model_or_trace, Mapping):
        return [_source(model_or_trace, images)]
    if not model_or_trace:
        raise ParameterError("There are no models: give {name: model} with at least one.")
    images = None if images is None else read_once(images)
    return [_source(model, images, name) for name, model in model_or_trace.items()]


def _source(
    model_or_trace: nn.Module | VisionTransformer | Trace, images: ImagesLike | None, name: str = ""
) -> Source:
    if isinstance(model_or_trace, Trace):
        if images is not None:
            raise ParameterError(
                "images were given beside a trace, which has its own images: give a model with "
                "images, or the trace alone."
            )
        return Source(model_or_trace.model, model_or_trace, [], name)
    if images is None:
        raise ParameterError("There are no images: give compare(model, images), or a trace.")
    vit = with_names_of(images, describe(model_or_trace))
    return Source(vit, None, kept_inputs(vit, images).entries, name)
