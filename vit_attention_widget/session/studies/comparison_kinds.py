"""The kinds of comparison: maps that differ in method, class, layer, image or model."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch

from ...comparison.grid import are_alike, on_finest_grid
from ...comparison.result import Comparison, MapOf
from ...errors import CaptureError, TargetError, UnsupportedModelError
from ...models import VisionTransformer
from ...support.progress import Progress, part_of
from ...targets.user_target import TargetLike
from ...tracing.layer_record import LayerRecord
from ...tracing.run import trace
from ...tracing.trace import Trace
from ..context import Context
from .compared import Compared, Request
from .comparison_payload import in_words
from .maps import LayerMaps, MapsStudy, layer_maps

__all__ = ["ComparisonKinds"]

_LIKELY = 5
_MOST_IMAGES = 48


class ComparisonKinds:
    """Computes the maps of a comparison; those of classes are kept for the next request.

    Parameters
    ----------
    context : Context
    maps : MapsStudy
        Maps that are computed anyway.
    """

    def __init__(self, context: Context, maps: MapsStudy) -> None:
        self._context = context
        self._maps = maps
        self._by_class: dict[tuple[str, int], LayerMaps] = {}
        self._by_class_of: Sequence[LayerRecord] | None = (
            None  # the layers of the trace that they are of
        )

    def work_of(self, kind: str) -> Callable[[Request, Progress], Compared]:
        """What computes a kind of comparison."""
        return {
            "methods": self._methods,
            "classes": self._classes,
            "layers": self._layers,
            "images": self._images,
            "models": self._models,
        }[kind]

    def drop_other_traces(self, shown: Trace | None) -> None:
        """Let go of what is kept of traces other than this one."""
        if shown is None or self._by_class_of is not shown.layers:
            self._by_class, self._by_class_of = {}, None

    def _now(self) -> tuple[Trace, int]:
        with self._context.lock:
            return self._context.shown(), self._context.traits._version

    def _methods(self, request: Request, progress: Progress) -> Compared:
        shown, version = self._now()
        names = self._maps.names()
        maps: dict[str, LayerMaps] = {}
        refused: dict[str, Exception] = {}
        for i, name in enumerate(names):
            progress(i / len(names), f"comparing maps, {name}")
            try:
                maps[name] = self._maps.of(shown, name, progress)[-1]
            except (TargetError, UnsupportedModelError, CaptureError) as error:
                refused[name] = error  # the others can still be compared
        if not maps:
            raise next(iter(refused.values()))
        last = shown.num_layers - 1
        items = [MapOf(name, shown.target.name, last) for name in maps]
        reasons = {name: str(error) for name, error in refused.items()}
        areas = [shown.tokens.area] * len(items)
        comparison = Comparison.of(np.stack(list(maps.values())), items, reasons, areas)
        return Compared(comparison, comparison.names, list(maps), [""] * len(maps), version, shown)

    def _classes(self, request: Request, progress: Progress) -> Compared:
        shown, version = self._now()
        if self._by_class_of is not shown.layers:  # a class more leaves the others as they are
            self._by_class, self._by_class_of = {}, shown.layers
        known, vit, method = self._by_class, self._context.vit, request.method
        probabilities = shown.probabilities[0]
        explained = shown.target.index or ()
        likely = probabilities.topk(min(_LIKELY, len(probabilities))).indices.tolist()
        classes = list(dict.fromkeys([*likely, *explained, *request.classes]))
        for i, index in enumerate(classes):
            part = part_of(progress, i / len(classes), (i + 1) / len(classes))
            part(0, f"comparing maps, {vit.class_name(index)}")
            if (method, index) not in known:
                of_class = shown if explained == (index,) else shown.retarget(index)
                known[method, index] = layer_maps(of_class, method, part)[-1]
        names = [vit.class_name(index) for index in classes]
        items = [MapOf(method, name, shown.num_layers - 1) for name in names]
        values = np.stack([known[method, index] for index in classes])
        comparison = Comparison.of(values, items, areas=[shown.tokens.area] * len(items))
        notes = [in_words(float(probabilities[index]), vit.output) for index in classes]
        return Compared(comparison, names, classes, notes, version, shown)

    def _layers(self, request: Request, progress: Progress) -> Compared:
        shown, version = self._now()
        maps = self._maps.of(shown, request.method, progress)
        layers = list(range(len(maps)))
        items = [MapOf(request.method, shown.target.name, layer) for layer in layers]
        names = [f"layer {layer}" for layer in layers]
        comparison = Comparison.of(maps, items, areas=[shown.tokens.area] * len(items))
        return Compared(comparison, names, layers, [""] * len(layers), version, shown)

    def _images(self, request: Request, progress: Progress) -> Compared:
        assert request.set_key is not None
        vit, images, method, masked = request.set_key
        version = self._context.traits._version
        count = min(len(images), _MOST_IMAGES)
        maps, items, areas = [], [], []
        for i, (image, label) in enumerate(images.entries[:count]):
            part = part_of(progress, i / count, (i + 1) / count)
            part(0, f"comparing maps, image {i} of {count}")
            of_image = trace(vit, image, label, head_mask=masked)
            maps.append(layer_maps(of_image, method, part)[-1])
            items.append(MapOf(method, of_image.target.name, vit.num_layers - 1, i))
            areas.append(of_image.tokens.area)
        names = [f"image {i}" for i in range(count)]
        return Compared(
            Comparison.of(np.stack(maps), items, areas=areas),
            names,
            list(range(count)),
            [item.target for item in items],
            version,
            set_key=request.set_key,
            files=images.names[:count],
        )

    def _models(self, request: Request, progress: Progress) -> Compared:
        context = self._context
        shown, version = self._now()
        maps = [self._maps.of(shown, request.method, progress)[-1]]
        name, others = context.vit.name, context.other_models
        traces = {f"{name}, shown" if name in others else name: shown}
        for i, (other_name, vit) in enumerate(others.items(), 1):
            part = part_of(progress, i / (len(others) + 1), (i + 1) / (len(others) + 1))
            part(0, f"comparing maps, {other_name}")
            of_model = trace(vit, context.raw_image, self._target_in(vit, shown))
            traces[other_name] = of_model
            maps.append(layer_maps(of_model, request.method, part)[-1])
        items = [
            MapOf(request.method, each.target.name, each.num_layers - 1, 0, each_name)
            for each_name, each in traces.items()
        ]
        notes = [_class_and_probability(each) for each in traces.values()]
        grids = [torch.from_numpy(grid) for grid in maps]
        areas = [each.tokens.area for each in traces.values()]
        values = on_finest_grid(grids, areas)
        alike = are_alike(grids, areas)
        comparison = Comparison.of(values, items, areas=areas if alike else ())
        return Compared(comparison, list(traces), list(range(len(traces))), notes, version, shown)

    def _target_in(self, vit: VisionTransformer, shown: Trace) -> TargetLike:
        """What is explained, as another model has it: a class by its name, or else its number."""
        other = self._context.explained.other
        if other is not None or not vit.has_classes:
            return other
        name = shown.target.name
        if vit.class_names and name in vit.class_names:
            return name
        return shown.target.index if vit.num_classes == self._context.vit.num_classes else None


def _class_and_probability(trace: Trace) -> str:
    """The class that a model's map is of, and the probability that the model gives it."""
    index, name = trace.target.index, trace.target.name
    if index is None:
        return name
    return f"{name} {in_words(float(trace.probabilities[0, index[0]]), trace.model.output)}"
