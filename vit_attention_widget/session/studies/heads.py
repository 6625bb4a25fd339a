"""What a session finds out about heads: importance, parts of one head, curves, accuracy."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import ParameterError
from ...importance.metrics import OLD_METRICS, Metric
from ...importance.run import head_importance_steps
from ...models.head_index import head_index, layer_index
from ...protocol.tensors import encode
from ...pruning.curve import ORDERS, CurveMetric, Order, PruningCurve, pruning_curve_steps
from ...pruning.partial import partial_pruning
from ...pruning.top1 import accuracy
from ...support.deprecation import renamed_choice
from ...support.progress import Progress
from ...tracing.trace import Trace
from .. import payloads as results
from ..computation import Computation
from ..work import no_result

__all__ = ["HeadStudy"]

_EVERY = 0.15
"""A growing curve is shown at most this often, in seconds."""

Table = NDArray[np.float32]


class HeadStudy(Computation):
    """Results about heads, which follow from a trace or are asked for."""

    @property
    def _has_labels(self) -> bool:
        return self._image_set is not None and self._image_set[0][1] is not None

    def _reset_results(self) -> None:
        super()._reset_results()
        self._tables: dict[Metric, Table] = {}
        self._curves_of: tuple[int, ...] | None = None
        self._whole_accuracy: float | None = None
        self._importance_data = b""
        self.partial, self.curves, self.accuracy = {}, {}, {}

    def _selected(self, change: Any) -> None:
        if self._ready and change["name"] == "metric":
            self._publish_importance()
        else:
            super()._selected(change)

    def _study_heads(self) -> None:
        shape = (self._vit.num_layers, max(self._vit.num_heads))
        self._tables = {m: np.full(shape, np.nan, np.float32) for m in self._metrics}
        self._publish_importance()
        whole = self._whole
        if whole is None:
            return
        if self._curves_of != whole.target.index and self._image_set is None:
            self.curves = {}
        self._curves_of, self.partial = whole.target.index, {}
        if self._has_labels:
            self.accuracy = {**self.accuracy, "after": None} if self.accuracy else {}
            self._do(self._long, "accuracy", "counting", self._count, self._counted)
        self._do(self._long, "importance", "removing heads", self._weigh, no_result)

    # Importance ----------------------------------------------------------------------------------

    def _weigh(self, progress: Progress) -> None:
        tables = self._tables
        for found in head_importance_steps(self._shown(), metric=tuple(tables), progress=progress):
            with self._lock:
                if self._tables is not tables:  # started anew meanwhile
                    return
                for metric, table in tables.items():
                    table[:] = found[metric][0].float().cpu().numpy()
                self._publish_importance()

    def _publish_importance(self) -> None:
        if self.metric not in self._tables:
            return
        decision = self.decision
        after = decision.get("target_after")
        baseline = decision.get("target_before", 0) if after is None else after
        tables = {str(metric): table for metric, table in self._tables.items()}
        self._importance_data = encode(tables, {"baseline": baseline})
        self.importance = self._tables[self.metric].copy()

    # Parts of one head ---------------------------------------------------------------------------

    def prune_partly(self, layer: int, head: int) -> None:
        """Find out which part of a head's attention the decision rests on; see ``partial``.

        Raises
        ------
        ParameterError
            If the layer or head does not exist.
        """
        layer = layer_index(self._vit, layer)
        head = head_index(self._vit, layer, head)

        def work(_: Progress) -> tuple[Trace, dict[str, Any]]:
            shown = self._shown()
            return shown, results.partial(partial_pruning(shown, layer=layer, head=head))

        def show(found: tuple[Trace, dict[str, Any]]) -> None:
            shown, parts = found
            if self.trace is shown:
                self.partial = parts

        self._do(self._quick, "partial", "", work, show)

    # Curves --------------------------------------------------------------------------------------

    def draw_curve(self, order: Order = "probability") -> None:
        """Remove heads one after another in an order of ``ORDERS``; see ``curves``.

        On the set of images, if there is one, else on the image.

        Raises
        ------
        ParameterError
            If there is no such order.
        """
        order = renamed_choice("order", order, OLD_METRICS)
        if order not in ORDERS:
            raise ParameterError(f"The order is {order!r}: choose from {', '.join(ORDERS)}.")
        label = f"removing heads by {order}"
        self._do(self._longest, order, label, lambda p: self._draw(order, p), no_result)

    def _draw(self, order: Order, progress: Progress) -> None:
        self._quick.wait()  # a curve is of the class that the trace will find
        self._shown()
        images, of = self._image_set, self._curves_of
        given, target = (self._inputs, self.target) if images is None else (images, None)
        metric: CurveMetric = "accuracy" if self._has_labels else "probability"
        steps = pruning_curve_steps(
            self._vit, given, target, order=order, metric=metric, progress=progress
        )
        shown = 0.0
        for curve in steps:
            complete = len(curve.order) == sum(self._vit.num_heads)
            if not complete and time.monotonic() - shown < _EVERY:
                continue
            shown = time.monotonic()
            with self._lock:
                other = images is None and self._curves_of != of
                if self._image_set is not images or other:
                    return
                total = sum(self._vit.num_heads)
                self.curves = {**self.curves, order: {**_as_dict(curve), "total": total}}

    # Accuracy ------------------------------------------------------------------------------------

    def _count(self, progress: Progress) -> dict[str, Any]:
        heads, images = self.pruned_heads, self._image_set
        assert images is not None
        if self._whole_accuracy is None:
            self._whole_accuracy = accuracy(self._vit, images, progress=progress)
        before = self._whole_accuracy
        after = None
        if heads:
            after = accuracy(self._vit, images, head_mask=heads, progress=progress)
        return {"before": before, "after": after, "count": len(images)}

    def _counted(self, found: dict[str, Any]) -> None:
        self.accuracy = found


def _as_dict(curve: PruningCurve) -> dict[str, Any]:
    return {
        "name": curve.order_name,
        "metric": curve.metric,
        "values": curve.values,
        "order": [list(head) for head in curve.order],
    }
