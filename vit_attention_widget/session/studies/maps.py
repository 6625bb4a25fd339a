"""Maps of the shown trace by every explainer."""

from __future__ import annotations

import time

import numpy as np
from numpy.typing import NDArray

from ...errors import VitAttentionError
from ...explainers import LONG_METHODS
from ...explainers.by_name import explain, explainers_by_name
from ...protocol.schema.tensors import MapsByMethod
from ...protocol.tensors import encode
from ...support.progress import Progress, no_progress, part_of
from ...tracing.trace import Trace
from .. import payloads
from .study import Study

__all__ = ["LayerMaps", "MapsStudy", "layer_maps"]

LayerMaps = NDArray[np.float32]
"""[layer, row, col]."""

_SLOT = "maps"
_LONG_SLOT = "long map"
_MAPS_AT_ONCE = 400_000
"""Bytes of maps that are computed and sent together; above it only the selected method's."""
_POLL = 0.02
"""Seconds between two looks at whether a map that is being computed is there."""


class MapsStudy(Study):
    """Maps by method, of the model as it is shown and, where heads are pruned, of the whole one."""

    def reset(self) -> None:
        self.maps: dict[str, LayerMaps] = {}
        self._traits._maps = b""
        self._soon: list[str] = []

    def follow_trace(self) -> None:
        self.maps = {}
        self._soon = self._with_a_trace()
        context = self._context
        context.do(context.lanes.long, _SLOT, "explaining the decision", self._compute)
        self._follow_long()

    def follow_method(self) -> None:
        """Another method is selected: one that was not computed with the trace runs only now."""
        self.publish()
        self._follow_long()

    def names(self) -> list[str]:
        """Methods whose maps are computed anyway, and those that take long and are there."""
        names = [choice["key"] for choice in self._traits._model_info["methods"]]
        return [name for name in names if name not in LONG_METHODS or name in self.maps]

    def publish(self) -> None:
        """Send the maps to the browser; only the selected method's where they are large."""
        maps: MapsByMethod = self.maps
        if sum(values.nbytes for values in maps.values()) > _MAPS_AT_ONCE:
            method = self._traits.method
            maps = {name: v for name, v in maps.items() if name.split(".")[0] == method}
        self._traits._maps = encode(maps)

    def of(self, trace: Trace, method: str, progress: Progress) -> LayerMaps:
        """A method's maps of a trace: those that are there or are just being computed."""
        context = self._context
        while True:
            with context.lock:
                maps = self.maps.get(method) if context.trace is trace else None
            running = context.lanes.long.running
            if maps is not None:
                return maps
            if running is None or running.slot != _SLOT:
                return layer_maps(trace, method, progress)
            progress(running.fraction or 0.0, running.label)
            time.sleep(_POLL)

    def _compute(self, progress: Progress) -> None:
        context = self._context
        shown = context.trace
        assert shown is not None
        traces = self._traces(shown)
        methods = self._soon
        maps: dict[str, LayerMaps] = {}
        refused: VitAttentionError | None = None
        for i, method in enumerate(methods):
            for suffix, trace in traces.items():
                progress(i / len(methods), f"explaining by {payloads.METHOD_HINTS[method][0]}")
                try:
                    maps[method + suffix] = layer_maps(trace, method, no_progress)
                except VitAttentionError as error:  # the others may still work with this model
                    if method == self._traits.method:
                        refused = error
                    break
            with context.lock:
                if context.trace is shown:  # not replaced by a later one meanwhile
                    self.maps = {**self.maps, **maps}
                    self.publish()
        if refused is not None:
            raise refused

    def _with_a_trace(self) -> list[str]:
        """Methods whose maps are computed with each trace: the selected one first, or it alone."""
        context, selected = self._context, self._traits.method
        methods = [m["key"] for m in self._traits._model_info["methods"]]
        methods = [name for name in methods if name not in LONG_METHODS]
        tokens, layers = context.subject.tokens, context.vit.num_layers
        size = len(methods) * layers * tokens.rows * tokens.cols * np.float32().nbytes
        if size > _MAPS_AT_ONCE:
            return [name for name in methods if name == selected] or methods[:1]
        return sorted(methods, key=lambda name: name != selected)

    def _traces(self, shown: Trace) -> dict[str, Trace]:
        """What there are maps of, by what a method's name ends in."""
        context = self._context
        if context.pruned is not None and context.whole is not None:
            return {"": shown, ".before": context.whole}
        return {"": shown}

    def _follow_long(self) -> None:
        """Compute the selected method's maps if nothing else does; stop another's."""
        context, method = self._context, self._traits.method
        context.lanes.longest.cancel(_LONG_SLOT)
        shown = context.trace
        offered = [choice["key"] for choice in self._traits._model_info["methods"]]
        apart = method in (*offered, *LONG_METHODS) and method not in self._soon
        if not apart or shown is None or method in self.maps:
            return
        traces = self._traces(shown)

        def work(progress: Progress) -> dict[str, LayerMaps]:
            maps = {}
            for i, (suffix, trace) in enumerate(traces.items()):
                part = part_of(progress, i / len(traces), (i + 1) / len(traces))
                maps[method + suffix] = layer_maps(trace, method, part)
            return maps

        def done(maps: dict[str, LayerMaps]) -> None:
            self.maps = {**self.maps, **maps}
            self.publish()

        label = f"explaining by {payloads.METHOD_HINTS[method][0]}"
        context.do(
            context.lanes.longest, _LONG_SLOT, label, work, done,
            still=lambda: context.trace is shown,
        )  # fmt: skip


def layer_maps(trace: Trace, method: str, progress: Progress) -> LayerMaps:
    """A method's maps of the first image, [layer, row, col]."""
    explainer = explainers_by_name(method)[method]
    maps: LayerMaps = explain(explainer, trace, progress).values[0].float().cpu().numpy()
    return maps
