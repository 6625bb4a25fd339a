"""What maps are made of: a trace that was given, or a model's images traced one at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

from torch import Tensor, nn

from ..data.items import ImagesLike
from ..data.kept import kept_inputs, read_once
from ..data.labels import with_names_of
from ..errors import ImageError, ParameterError
from ..models import VisionTransformer, describe
from ..tracing.model_or_trace import check_nothing_beside_trace
from ..tracing.run import trace
from ..tracing.trace import Trace

__all__ = ["ModelTraces", "model_traces"]


@dataclass(frozen=True)
class ModelTraces:
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
        """Number of images."""
        return len(self.inputs) if self.trace is None else self.trace.batch_size

    @property
    def together(self) -> int:
        """Number of images of a trace."""
        return 1 if self.trace is None else self.trace.batch_size

    def traces(self) -> Iterator[tuple[int, Tensor, Callable[[], Trace]]]:
        """The number of each trace's first image, its images, and what makes the trace."""
        traced = self.trace
        if traced is not None:
            yield 0, traced.inputs, lambda: traced
        for index, (image, label) in enumerate(self.inputs):
            yield index, image[None], partial(trace, self.vit, image, label)


def model_traces(
    model_or_trace: nn.Module
    | VisionTransformer
    | Trace
    | Mapping[str, nn.Module | VisionTransformer],
    images: ImagesLike | None,
) -> list[ModelTraces]:
    """One model's, or those of each of several models.

    Raises
    ------
    ParameterError
        If there is no model, if there are no images for one, or if images stand beside a trace.
    ImageError, TargetError, UnsupportedModelError
    """
    if not isinstance(model_or_trace, Mapping):
        traces = _traces_of(model_or_trace, images)
        _check_size(traces)
        return [traces]
    if not model_or_trace:
        raise ParameterError("There are no models: give {name: model} with at least one.")
    images = None if images is None else read_once(images)
    return [_traces_of(model, images, name) for name, model in model_or_trace.items()]


def _traces_of(
    model_or_trace: nn.Module | VisionTransformer | Trace, images: ImagesLike | None, name: str = ""
) -> ModelTraces:
    if isinstance(model_or_trace, Trace):
        check_nothing_beside_trace(images=images)
        return ModelTraces(model_or_trace.model, model_or_trace, [], name)
    if images is None:
        raise ParameterError("There are no images: give compare(model, images), or a trace.")
    vit = with_names_of(images, describe(model_or_trace))
    return ModelTraces(vit, None, kept_inputs(vit, images).entries, name)


def _check_size(traces: ModelTraces) -> None:
    """Raise :class:`ImageError` unless all images have as many patches."""
    sizes = {image.shape: image for image, _ in traces.inputs}
    grids = [traces.vit.tokens(image[None]) for image in sizes.values()]
    if len({(grid.rows, grid.cols) for grid in grids}) > 1:
        raise ImageError(
            "After preprocessing the images differ in size, and so do their patch grids: compare "
            "images of one size."
        )
