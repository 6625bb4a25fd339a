"""What a session finds out about how far maps agree."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...comparison.result import Comparison, MapOf
from ...comparison.run import on_one_grid
from ...errors import CaptureError, ParameterError, TargetError, UnsupportedModelError
from ...explainers import METHODS
from ...models import VisionTransformer
from ...models.classes import class_index
from ...support.progress import Progress
from ...tracing.run import trace
from ...tracing.trace import Trace
from ..lanes import Job
from .comparison_payload import Asked, Found, as_dict, maps_bytes, percent
from .images import names_of
from .strength import StrengthStudy

__all__ = ["COMPARED", "COMPARE_IMAGES_SLOT", "MOST_CLASSES", "CompareStudy"]

COMPARED = ("methods", "classes", "layers", "images", "models")
"""In what the maps of a comparison may differ."""

COMPARE_SLOT = "compare"
COMPARE_IMAGES_SLOT = "compare images"
"""Work on the set, which goes on while other images are looked at."""

MOST_CLASSES = 12
"""Classes that a user may add to the likely ones."""

_LIKELY = 5
_MOST_IMAGES = 48
_POLL = 0.02
"""Seconds between two looks at whether a map that is being computed is there."""

Map = NDArray[np.float32]


class CompareStudy(StrengthStudy):
    """Maps of several methods, classes, layers or images beside each other, when asked for."""

    _found: Found | None = None
    _found_of = ""
    _request: Asked | None = None
    _model_compared: Any = None
    _given: Any = None  # the set as it was given
    _stamp = 0  # maps, and what is said of them, come in two messages: which belong together
    _by_class: tuple[Any, dict[tuple[str, int], Map]] = (None, {})

    def _reset_results(self) -> None:
        super()._reset_results()
        self._by_class = (None, {})
        if not self._comparison:
            return
        other = self._model_compared is not self._vit
        kept = self._comparison
        if other or self._found is None or self._found.of_set is None:
            self._found, self._comparison_maps = None, b""
            kept = {name: kept[name] for name in ("of", "method", "asked", "classes")}
        self._comparison = {**kept, "classes": []} if other else kept

    @property
    def compared(self) -> Comparison | None:
        """What was compared last; None until then."""
        return None if self._found is None else self._found.comparison

    def compare_maps(
        self,
        of: str = "methods",
        method: str | None = None,
        classes: Sequence[int | str] | None = None,
    ) -> None:
        """Compare maps of the image as it is shown; see ``compared``.

        Parameters
        ----------
        of : {"methods", "classes", "layers", "images", "models"}
            Every method for the class that is explained; or one method for the likely classes,
            after each layer, on each image of the set for the image's own class, or in each of the
            models that were given.
        method : str, optional
            Which one; None takes the selected one.
        classes : sequence, optional
            Classes beside the likely ones.

        Raises
        ------
        ParameterError, TargetError
            If there is no such thing to compare.
        """
        asked = self._checked_request(of, method, classes)
        with self._lock:
            now = {"of": of, "method": asked.method, **self._comparison}
            if of == "images" and self._request and self._request.of_set == asked.of_set:
                return  # it is being done: only the trace has changed
            if of == "images" and self._found and self._found.of_set == asked.of_set:
                self._request = None  # it is there
                self._comparison = {**now, "asked": "", "version": self._version}
                return
            self._request, self._model_compared = asked, self._vit
            self._comparison = {**now, "asked": of, "classes": list(asked.classes)}
        slots = COMPARE_SLOT, COMPARE_IMAGES_SLOT
        slot, other = slots[::-1] if of == "images" else slots
        work = {
            "methods": self._compare_methods,
            "classes": self._compare_classes,
            "layers": self._compare_layers,
            "images": self._compare_images,
            "models": self._compare_models,
        }[of]
        self._longest.cancel(other)
        self._longest.submit(self._job(slot, asked, work))

    def _checked_request(self, of: str, method: str | None, classes: Any) -> Asked:
        if of not in COMPARED:
            raise ParameterError(f"of is {of!r}: choose one of {', '.join(COMPARED)}.")
        method = self.method if method is None else method
        if method not in METHODS:
            raise ParameterError(
                f"There is no method {method!r}: choose from {', '.join(METHODS)}."
            )
        if of == "images" and self._image_set is None:
            raise ParameterError("There is no set of images: give the session image_set=[...].")
        if of == "models" and not self._models:
            raise ParameterError("There are no other models: give the session models={name: ...}.")
        if of == "classes" and not self._vit.num_classes:
            raise ParameterError(f"{self._vit.name} has no classes that could be compared.")
        added = list(dict.fromkeys(class_index(c, self._vit) for c in classes or ()))
        if len(added) > MOST_CLASSES:
            raise ParameterError(f"{len(added)} classes are too many: at most {MOST_CLASSES}.")
        pruned = tuple(self.pruned_heads)
        of_set = (self._vit, id(self._image_set), method, pruned) if of == "images" else None
        return Asked(of, method, tuple(added), of_set)

    def _job(self, slot: str, asked: Asked, work: Callable[[Asked, Progress], Found]) -> Job:
        started, vit, images = time.perf_counter(), self._vit, self._image_set

        def run(progress: Progress) -> Found:
            self._quick.wait()  # it is about what the trace will find
            return work(asked, progress)

        def over() -> bool:
            """Whether another request, model or set counts by now; else no request is open."""
            with self._lock:
                if self._request is not asked:
                    return True
                self._request = None
                self._comparison = {**self._comparison, "asked": ""}
                return self._vit is not vit or self._image_set is not images

        def done(found: Found) -> None:
            with self._lock:
                if over() or (found.shown is not None and found.shown is not self.trace):
                    return  # who looks at it asks again
                self._error = None
                self._milliseconds = (time.perf_counter() - started) * 1000
                self._show_comparison(asked, found)

        def failed(error: BaseException) -> None:
            with self._lock:
                if not over():
                    self._failed(error)

        return Job(slot, "comparing maps", run, done, failed, lambda: (over(), None)[1])

    # What is compared ----------------------------------------------------------------------------

    def _compare_methods(self, asked: Asked, progress: Progress) -> Found:
        shown, version = self._now()
        names = [choice["key"] for choice in self._model_info["methods"]]
        maps: dict[str, Map] = {}
        refused: dict[str, Exception] = {}
        for i, name in enumerate(names):
            progress(i / len(names), f"comparing maps, {name}")
            try:
                maps[name] = self._layers_of(shown, name, progress)[-1]
            except (TargetError, UnsupportedModelError, CaptureError) as error:
                refused[name] = error  # the others can still be compared
        if not maps:
            raise next(iter(refused.values()))
        last = self._vit.num_layers - 1
        items = [MapOf(name, shown.target.name, last) for name in maps]
        why = {name: str(error) for name, error in refused.items()}
        found = Comparison.of(np.stack(list(maps.values())), items, why)
        return Found(found, found.names, list(maps), [""] * len(maps), version, shown)

    def _compare_classes(self, asked: Asked, progress: Progress) -> Found:
        shown, version = self._now()
        if self._by_class[0] is not shown.layers:  # a class more leaves the others as they are
            self._by_class = (shown.layers, {})
        known = self._by_class[1]
        p = shown.probabilities[0]
        now = shown.target.index or ()
        likely = p.topk(min(_LIKELY, len(p))).indices.tolist()
        classes = list(dict.fromkeys([*likely, *now, *asked.classes]))
        for i, index in enumerate(classes):
            progress(i / len(classes), f"comparing maps, {self._vit.class_name(index)}")
            if (asked.method, index) not in known:
                aimed = shown if now == (index,) else shown.retarget(index)
                known[asked.method, index] = _maps_of(aimed, asked.method)[-1]
        last = self._vit.num_layers - 1
        names = [self._vit.class_name(index) for index in classes]
        items = [MapOf(asked.method, name, last) for name in names]
        found = Comparison.of(np.stack([known[asked.method, c] for c in classes]), items)
        notes = [percent(float(p[index])) for index in classes]
        return Found(found, names, classes, notes, version, shown)

    def _compare_layers(self, asked: Asked, progress: Progress) -> Found:
        shown, version = self._now()
        maps = self._layers_of(shown, asked.method, progress)
        layers = list(range(len(maps)))
        items = [MapOf(asked.method, shown.target.name, layer) for layer in layers]
        names = [f"layer {layer}" for layer in layers]
        found = Comparison.of(maps, items)
        return Found(found, names, layers, [""] * len(layers), version, shown)

    def _compare_images(self, asked: Asked, progress: Progress) -> Found:
        images, version = self._image_set or [], self._version
        assert asked.of_set is not None
        mask = asked.of_set[-1]
        count, vit = min(len(images), _MOST_IMAGES), self._vit
        maps, items = [], []
        for i, (image, label) in enumerate(images[:count]):
            progress(i / count, f"comparing maps, image {i} of {count}")
            found = trace(vit, image, label, head_mask=mask)
            maps.append(_maps_of(found, asked.method)[-1])
            items.append(MapOf(asked.method, found.target.name, vit.num_layers - 1, i))
        names = [f"image {i}" for i in range(count)]
        files = names_of(self._given, len(images))[:count]
        notes = [item.target for item in items]
        compared = Comparison.of(np.stack(maps), items)
        return Found(compared, names, list(range(count)), notes, version, None, asked.of_set, files)

    def _compare_models(self, asked: Asked, progress: Progress) -> Found:
        shown, version = self._now()
        maps = [self._layers_of(shown, asked.method, progress)[-1]]
        own = self._vit.name
        traces = {f"{own}, shown" if own in self._models else own: shown}
        for i, (name, vit) in enumerate(self._models.items(), 1):
            progress(i / (len(self._models) + 1), f"comparing maps, {name}")
            traces[name] = trace(vit, self._raw_image(), self._target_in(vit, shown))
            maps.append(_maps_of(traces[name], asked.method)[-1])
        items = [
            MapOf(asked.method, found.target.name, found.num_layers - 1, 0, name)
            for name, found in traces.items()
        ]
        notes = [_said(found) for found in traces.values()]
        found = Comparison.of(on_one_grid(maps), items)
        return Found(found, list(traces), list(range(len(traces))), notes, version, shown)

    def _raw_image(self) -> Any:
        """What is looked at before any model's own preparation, as each model has its own."""
        raise NotImplementedError

    def _target_in(self, vit: VisionTransformer, shown: Trace) -> Any:
        """What is explained, as another model has it: a class by its name, or else its number."""
        if self._own_target is not None or not vit.num_classes:
            return self._own_target
        name = shown.target.name
        if vit.class_names and name in vit.class_names:
            return name
        return shown.target.index if vit.num_classes == self._vit.num_classes else None

    def _now(self) -> tuple[Trace, int]:
        with self._lock:
            return self._shown(), self._version

    def _layers_of(self, shown: Trace, method: str, progress: Progress) -> Map:
        """A method's maps [layer, row, col]: those that are there or are just being computed."""
        while True:
            with self._lock:
                known = self._maps_by_method.get(method) if self.trace is shown else None
            running = self._long.running
            if known is not None:
                return known
            if running is None or running.slot != "maps":
                return _maps_of(shown, method)
            progress(running.fraction or 0.0, running.label)
            time.sleep(_POLL)

    def _study_heads(self) -> None:
        super()._study_heads()
        shown, found = self.trace, self._found
        if shown is not None and self._by_class[0] is not shown.layers:
            self._by_class = (None, {})
        if found is not None and found.shown is not None and found.shown is not shown:
            self._found = replace(found, shown=None)  # which would keep all of an old trace

    def _show_comparison(self, asked: Asked, found: Found) -> None:
        self._found, self._found_of = found, asked.of
        self._stamp += 1
        total = len(self._image_set or ()) if asked.of == "images" else len(found.comparison)
        self._comparison_maps = maps_bytes(found.comparison.maps, self._stamp)
        self._comparison = as_dict(asked, found, total, self._stamp)


def _maps_of(found: Trace, method: str) -> Map:
    """A method's maps of the first image, [layer, row, col]."""
    maps: Map = METHODS[method](found).values[0].float().cpu().numpy()
    return maps


def _said(found: Trace) -> str:
    """The class that a model's map is of, and how probable the model holds it."""
    index = found.target.index
    name = found.target.name
    return name if index is None else f"{name} {percent(float(found.probabilities[0, index[0]]))}"
