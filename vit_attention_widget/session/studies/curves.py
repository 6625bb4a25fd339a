"""How the decision, or the accuracy, changes as ever more heads are masked."""

from __future__ import annotations

import time
from collections.abc import Iterator

from ...errors import ParameterError
from ...importance.metrics import OLD_METRICS
from ...protocol.schema.results import Curve
from ...pruning.curve import ORDERS, CurveMetric, Order, PruningCurve, pruning_curve_steps
from ...pruning.share_left import heads_within
from ...support.deprecation import renamed_choice
from ...support.progress import Progress
from ..stepwise import Stepwise
from .study import Study

__all__ = ["CurveStudy"]

_EVERY = 0.15
"""A growing curve is shown at most this often, in seconds."""


class CurveStudy(Study):
    """Pruning curves by order, each when asked for: on the image set if there is one."""

    def reset(self) -> None:
        self._target_index: tuple[int, ...] | None = None  # the classes that the curves are of
        self._traits.curves = {}

    def follow_trace(self) -> None:
        context = self._context
        assert context.whole is not None
        index = context.whole.target.index
        if index != self._target_index and context.image_set is None:
            self._traits.curves = {}
        self._target_index = index

    def draw(self, order: Order, keep: float | None = None) -> None:
        """Mask heads one after another in an order of ``ORDERS``.

        With ``keep`` only while this share of the whole model's accuracy (or probability) is left;
        then those heads are pruned.

        Raises
        ------
        ParameterError
            If there is no such order or share.
        """
        if keep is not None and not 0 < keep <= 1:
            raise ParameterError(f"keep is {keep}: a share above 0 and at most 1 was expected.")
        order = renamed_choice("order", order, OLD_METRICS)
        if order not in ORDERS:
            raise ParameterError(f"The order is {order!r}: choose from {', '.join(ORDERS)}.")
        context, total = self._context, sum(self._context.vit.num_heads)
        images, index, shown_at = context.image_set, self._target_index, 0.0

        def steps(progress: Progress, start: PruningCurve | None) -> Iterator[PruningCurve]:
            nonlocal index
            context.wait_for_trace()  # a curve is of its class
            context.shown()
            other_target = images is None and self._target_index != index
            index = self._target_index
            metric: CurveMetric = "accuracy" if context.labels else "probability"
            for curve in pruning_curve_steps(
                context.vit,
                context.subject.inputs if images is None else images.entries,
                self._traits.target if images is None else None,
                order=order,
                metric=metric,
                start=None if other_target else start,
                progress=progress,
            ):
                yield curve
                if keep is not None and within(curve) is not None:
                    return

        def within(curve: PruningCurve) -> int | None:
            is_value = curve.output == "value"
            return heads_within(curve.values.tolist(), keep or 1.0, either_way=is_value)

        def prune(_: None) -> None:
            show(ended=True)
            if keep is None or work.latest is None or context.image_set is not images:
                return
            count = within(work.latest)
            removed = work.latest.order if count is None else work.latest.order[:count]
            self._traits.pruned_heads = sorted(removed)

        def show(*, ended: bool = False) -> None:
            with context.lock:
                other_target = images is None and self._target_index != index
                if context.image_set is images and not other_target and work.latest is not None:
                    count = len(work.latest.order) if ended else total
                    drawn = {**self._traits.curves, str(order): _payload(work.latest, count)}
                    self._traits.curves = drawn

        def take(curve: PruningCurve) -> None:
            nonlocal shown_at
            if len(curve.order) == total or time.monotonic() - shown_at > _EVERY:
                shown_at = time.monotonic()
                show()

        def says() -> str:
            show()
            count = 0 if work.latest is None else len(work.latest.order)
            return f"{count} of {total} heads masked by {order}"

        work = Stepwise(steps, take)
        label = f"masking heads by {order}"
        context.do(context.lanes.longest, order, label, work, prune, says=says)


def _payload(curve: PruningCurve, total: int) -> Curve:
    return {
        "name": curve.order_name,
        "metric": curve.metric,
        "values": curve.values.tolist(),
        "order": list(curve.order),
        "total": total,
    }
