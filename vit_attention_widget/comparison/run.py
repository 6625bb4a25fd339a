"""Make maps of several methods, targets, layers, images or models, and compare them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from torch import Tensor, nn

from ..data.items import ImagesLike
from ..errors import CaptureError, ParameterError, TargetError, UnsupportedModelError
from ..explainers import Attribution
from ..explainers.by_name import MethodsLike, are_methods, explain, explainers_by_name
from ..models import VisionTransformer
from ..models.head_index import layer_index
from ..results.unfinished import warn_if_stopped
from ..support.deprecation import renamed_keywords, reordered_arguments
from ..support.progress import Progress, ProgressLike, part_of, reporting
from ..support.steps import last_known
from ..support.stopped import keeping
from ..targets.user_target import TargetLike, resolve
from ..tracing.trace import Trace
from .gathered import Gathered
from .result import Comparison, MapOf
from .source import Source, sources

__all__ = ["compare"]


def _has_methods(args: Sequence[object]) -> bool:
    """Whether the arguments after the images are methods, targets, layer, as they used to be."""
    return len(args) > 1 or are_methods(args[0])


@renamed_keywords({"model": "model_or_trace", "targets": "target"})
@reordered_arguments(
    "model_or_trace", "images", "methods", "target", "layer", moved=_has_methods
)  # fmt: skip
def compare(
    model_or_trace: nn.Module
    | VisionTransformer
    | Trace
    | Mapping[str, nn.Module | VisionTransformer],
    images: ImagesLike | None = None,
    target: TargetLike | Sequence[TargetLike] = None,
    *,
    methods: MethodsLike | None = None,
    layer: int | Sequence[int] | None = -1,
    progress: ProgressLike = None,
) -> Comparison:
    """Compare maps: of several methods, targets, layers, images or models, in all combinations.

    Parameters
    ----------
    model_or_trace : nn.Module, mapping or Trace
        A model, or several as ``{name: model}``, with ``images``; or a trace, which has its own
        images and masked heads. Each further target costs a trace one backward pass and no
        forward pass.
    images : image, float tensor, list, data set or loader, optional
        May yield (image, label).
    target : optional
        What is explained: a class index or name, a target or a callable on logits; or a list of
        these, each of which is explained for every image. None is the trace's own target; for
        images their labels, or the predicted class where they have none.
    methods : str, sequence of str or mapping, optional
        Names of explainers, or ``{name: function of a trace}``. By default every explainer that
        works with the model; :attr:`Comparison.skipped` says which do not, and why.
    layer : int or sequence of int, optional
        The maps as they stand after this layer; -1 is the last, None is every layer.
    progress : callable or bool, optional
        Called with (fraction, label); True shows a progress bar. A callback may raise
        :class:`~vit_attention_widget.errors.JobCancelled`.

    Returns
    -------
    Comparison
        ``.values`` [map, row, col], ``.rank_correlation`` [map, map], ``.plot()``.

    Raises
    ------
    ParameterError, TargetError, ImageError, UnsupportedModelError, CaptureError

    Warns
    -----
    UserWarning
        If an error ends it after the first map: the comparison is of the maps before, and the error
        is in ``.error``. After Ctrl-C and cancel it is what
        :func:`~vit_attention_widget.kept_result` returns. Images that cannot be read raise at once,
        because all are read before anything else.

    Notes
    -----
    Methods have different units, so maps are compared by the rank of their patches, not by value.
    A high correlation means that two maps agree, not that either is right. Between different
    images it means that the map depends little on the image.

    Maps of models with different patch grids are interpolated bilinearly to the finest grid. Every
    model preprocesses the image itself: if one crops more than another, their patches do not show
    the same places.

    Examples
    --------
    >>> import vit_attention_widget as vaw
    >>> trace = vaw.trace(vaw.demo.load_model(), vaw.demo.scene(seed=1).image)
    >>> vaw.compare(trace, methods=["daam", "legrad", "rollout"]).names
    ('daam', 'legrad', 'rollout')
    >>> likely = trace.probabilities[0].topk(3).indices
    >>> vaw.compare(trace, target=likely, methods="daam").values.shape
    torch.Size([3, 10, 10])
    >>> vaw.compare(trace, methods="daam", layer=None).differ
    ('layer',)
    """
    with reporting(progress) as report:
        comparison = last_known(_steps(model_or_trace, images, target, methods, layer, report))
    warn_if_stopped(comparison, "The comparison")
    return comparison


def _steps(
    model_or_trace: nn.Module
    | VisionTransformer
    | Trace
    | Mapping[str, nn.Module | VisionTransformer],
    images: ImagesLike | None,
    target: TargetLike | Sequence[TargetLike],
    methods: MethodsLike | None,
    layer: int | Sequence[int] | None,
    report: Progress,
) -> Iterator[Comparison]:
    """The comparison in one step; what ends it early has the maps that there were by then."""
    explainers, targets = explainers_by_name(methods), _targets(target)
    models = sources(model_or_trace, images)
    total = max(1, sum(map(len, models)) * len(targets) * len(explainers))
    gathered = Gathered(
        list(explainers),
        sum(_images(model) * len(_layers(model.vit, layer)) for model in models) * len(targets),
        of_models=len(models) > 1,
    )
    done = 0
    with keeping(gathered.so_far):
        for model, first, trace in ((m, *pair) for m in models for pair in m.traces()):
            layers = _layers(trace.model, layer)
            for each in targets:  # one that does not exist is refused before others are explained
                _aimed(trace, each)
            class_agnostic: dict[str, Attribution] = {}  # the same for every target
            for each in targets:
                aimed = _aimed(trace, each)
                for method, explainer in explainers.items():
                    progress = part_of(report, done / total, (done + 1) / total)
                    progress(0, f"comparing maps, {method}")
                    done += 1
                    if method in gathered.failed:
                        continue
                    try:
                        earlier = class_agnostic.get(method)
                        attribution = earlier or explain(explainer, aimed, progress)
                    except (TargetError, UnsupportedModelError, CaptureError) as error:
                        if methods is not None:  # it was asked for by name
                            raise
                        gathered.failed[method] = error
                        continue
                    if attribution.class_agnostic:
                        class_agnostic[method] = attribution
                    for image in range(trace.batch_size):
                        about = method, _target_name(aimed, image)
                        for index in layers:
                            item = MapOf(*about, index, first + image, model.name)
                            gathered.add(item, attribution.values[image, index])
        yield gathered.comparison()


def _images(model: Source) -> int:
    return len(model) if model.trace is None else model.trace.batch_size


def _aimed(trace: Trace, target: TargetLike) -> Trace:
    """The trace for a target; itself if it has that target already, with what was computed."""
    if target is None:
        return trace
    index = resolve(target, trace.logits, trace.model).index
    return trace if index is not None and index == trace.target.index else trace.retarget(target)


def _target_name(trace: Trace, image: int) -> str:
    index = trace.target.index
    return trace.target.name if index is None else trace.model.class_name(index[image])


def _targets(target: TargetLike | Sequence[TargetLike]) -> list[TargetLike]:
    if isinstance(target, Tensor | np.ndarray):
        target = target.tolist()
    if isinstance(target, Sequence) and not isinstance(target, str):
        if not target:
            raise ParameterError("The list of targets is empty: give at least one, or None.")
        return list(target)
    return [target]


def _layers(vit: VisionTransformer, layer: int | Sequence[int] | None) -> list[int]:
    if layer is None:
        return list(range(vit.num_layers))
    chosen = list(layer) if isinstance(layer, Sequence | np.ndarray) else [layer]
    if not chosen:
        raise ParameterError("The list of layers is empty: give at least one, or None for all.")
    return [layer_index(vit, each) for each in chosen]
