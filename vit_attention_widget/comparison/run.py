"""Make maps of several methods, targets, layers, images or models, and compare them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from torch import Tensor, nn

from ..data.items import ImagesLike
from ..errors import CaptureError, ParameterError, TargetError, UnsupportedModelError
from ..explainers import Attribution
from ..explainers.by_name import Explainer, MethodsLike, are_methods, explain, explainers_by_name
from ..models import VisionTransformer
from ..models.head_index import layer_index
from ..results.unfinished import warn_if_stopped
from ..runs.long_run import How, LongRun, long_run
from ..support.deprecation import renamed_keywords, reordered_arguments
from ..support.progress import Progress, ProgressLike, part_of
from ..support.steps import last_known
from ..targets.user_target import TargetLike, resolve
from ..tracing.model_or_trace import masks_of
from ..tracing.trace import Trace
from .maps import Maps, joined, parts_of
from .model_traces import ModelTraces, model_traces
from .result import Comparison, MapOf

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
    start: Comparison | None = None,
    store: str | Path | None = None,
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
    start : Comparison, optional
        What the same call computed before it was stopped; only the other maps are.
    store : str or Path, optional
        A folder, in which what is computed is written as it is computed. The same call goes on from
        it, also after the process was killed; that of another model or other options is refused.
    progress : callable or bool, optional
        Called with (fraction, label[, seconds left]); True shows a progress bar. A callback may
        raise :class:`~vit_attention_widget.errors.JobCancelled`.

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
    explainers, targets = explainers_by_name(methods), _targets(target)
    models = model_traces(model_or_trace, images)
    layers = [_layers(model.vit, layer) for model in models]
    by_method = sum(len(m) * len(some) for m, some in zip(models, layers, strict=True))
    parts = parts_of(
        start,
        {model.name: (len(model), model.together) for model in models},
        {index for some in layers for index in some},
        explainers,
        len(targets),
    )
    asked = _Asked(explainers, targets, layer, methods is not None)

    def steps() -> Iterator[Comparison]:
        with long_run(
            "compare",
            {model.name: model.vit for model in models},
            Maps,
            partial(joined, methods=list(explainers), by_method=by_method * len(targets)),
            parts,
            How(store=store, progress=progress),
            sum(map(len, models)),
            methods=methods if isinstance(methods, Mapping) else list(explainers),
            target=targets,
            layer=layers,
            head_mask=masks_of(model_or_trace),
        ) as run:
            yield run.kept.after(_run(models, asked, run))

    comparison = last_known(steps())
    warn_if_stopped(comparison, "The comparison")
    return comparison


@dataclass(frozen=True)
class _Asked:
    """What is to be compared of each image."""

    explainers: Mapping[str, Explainer]
    targets: list[TargetLike]
    layer: int | Sequence[int] | None
    by_name: bool
    """Whether methods were asked for by name: one that does not work is an error then."""


def _run(
    models: Sequence[ModelTraces], asked: _Asked, run: LongRun[Maps, Comparison]
) -> Iterator[None]:
    """Make the maps that are not kept yet; yields after each step."""
    total, done = sum(map(len, models)), 0
    skipped: dict[str, str] = {}
    for model in models:
        for first, inputs, make_trace in model.traces():
            progress = part_of(run.report, done / total, (done + len(inputs)) / total)
            maps = partial(_maps, asked, model.name, first, make_trace, skipped, progress)
            yield from run.once(maps, inputs, done)
            part = run.kept.get(done, inputs)
            skipped = {**skipped, **part.skipped} if isinstance(part, Maps) else skipped
            done += len(inputs)


def _maps(
    asked: _Asked,
    model: str,
    first: int,
    make_trace: Callable[[], Trace],
    skipped: dict[str, str],
    report: Progress,
    before: Maps | None,
) -> Iterator[Maps]:
    """The maps of a trace, ever more of them; ``before`` are those that there are."""
    trace = make_trace()
    layers = _layers(trace.model, asked.layer)
    for each in asked.targets:  # one that does not exist is refused before others are explained
        _aimed(trace, each)
    part = before or Maps((), (), skipped, trace.batch_size, area=trace.tokens.area)
    earlier = Counter(part.without(part.skipped).items)
    class_agnostic: dict[str, Attribution] = {}  # the same for every target
    total, done = len(asked.targets) * len(asked.explainers), 0
    for each in asked.targets:
        aimed = _aimed(trace, each)
        for method, explainer in asked.explainers.items():
            progress = part_of(report, done / total, (done + 1) / total)
            done += 1
            if method in part.skipped:
                continue
            items = _items(aimed, method, layers, first, model)
            if earlier:
                _check_same(items, earlier)
                earlier -= Counter(items)
                continue
            progress(0, f"comparing maps, {method}")
            try:
                attribution = class_agnostic.get(method) or explain(explainer, aimed, progress)
            except (TargetError, UnsupportedModelError, CaptureError) as error:
                if asked.by_name or len(part.skipped) + 1 == len(asked.explainers):
                    raise
                part = replace(part, skipped={**part.skipped, method: str(error)})
                continue
            if attribution.class_agnostic:
                class_agnostic[method] = attribution
            values = attribution.values.detach().float().cpu()
            maps = [values[item.image - first, item.layer] for item in items]
            part = replace(part, items=(*part.items, *items), maps=(*part.maps, *maps))
            yield part
    yield replace(part, complete=True)


def _items(trace: Trace, method: str, layers: Sequence[int], first: int, model: str) -> list[MapOf]:
    """What the maps by a method are of."""
    return [
        MapOf(method, _target_name(trace, image), index, first + image, model)
        for image in range(trace.batch_size)
        for index in layers
    ]


def _check_same(items: Sequence[MapOf], earlier: Mapping[MapOf, int]) -> None:
    """Raise unless the earlier maps are maps of the same."""
    missing = next((item for item in items if item not in earlier), None)
    if missing is not None:
        raise ParameterError(
            f"start has no map of image {missing.image} by {missing.method} for "
            f"{missing.target!r}, but others of that image: give what was computed by the same "
            "call."
        )


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
