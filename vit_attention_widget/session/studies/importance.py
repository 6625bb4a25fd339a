"""How much each head matters for what is explained."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from ...importance.head_ablation import Removal
from ...importance.metrics import Metric
from ...importance.of_trace import steps_of_trace, unmasked_heads
from ...importance.run import HeadImportance
from ...models.output_kind import probabilities
from ...protocol.schema.results import DecisionWithout
from ...protocol.schema.selections import Head
from ...protocol.schema.tensors import BaselineMetadata, ImportanceTables
from ...protocol.tensors import encode
from ...support.progress import Progress
from ...tracing.trace import Trace
from ..description import metrics
from ..payloads import decision_rows
from ..stepwise import Stepwise
from .study import Study

__all__ = ["ImportanceStudy"]

Table = NDArray[np.float32]
"""[layer, head]; NaN where not known (yet), and for pruned heads."""


class ImportanceStudy(Study):
    """Importance of every head by every metric, as it is computed.

    What was found out while no head was pruned is kept, so that the importance of the others can be
    held against it: the trait ``_importance_before``, which goes to the browser while heads are
    pruned. Where it is not known (heads were pruned from the beginning, or before all were
    measured), it is measured when asked for.

    Attributes
    ----------
    without : dict
        The decision without each head that was measured, and was not pruned, as it stands now.
    """

    without: dict[Head, DecisionWithout]

    def reset(self) -> None:
        self.without = {}
        self._tables: dict[Metric, Table] = {}
        self._whole: tuple[Trace, dict[Metric, Table]] | None = None
        self._traits._importance_data = self._traits._importance_before = b""

    def follow_trace(self) -> None:
        context = self._context
        if self.before is None:  # of another target: its trace is not held any longer
            self._whole = None
        self._tables = tables = self._unknown()
        without: dict[Head, DecisionWithout] = {}
        self.without = without
        self._publish_before()
        self.publish()
        trace = context.shown()

        def publish() -> bool:
            if self._tables is tables:  # not started anew meanwhile
                self.publish()
            return self._tables is tables

        def done(_: None) -> None:
            if self._tables is tables and trace is context.whole:
                self._whole = trace, tables

        self._ablate(trace, tables, without, "importance", "ablating heads", publish, done)

    @property
    def before(self) -> dict[Metric, Table] | None:
        """Tables of the whole model, by metric; None until all of its heads were measured."""
        if self._whole is None or self._whole[0] is not self._context.whole:
            return None
        return self._whole[1]

    def measure_before(self) -> None:
        """Measure the importance of the heads as it is without pruning, where it is not known."""
        context = self._context
        whole, tables = context.whole, self._unknown()
        if whole is None or context.pruned is None or self.before is not None:
            return

        def done(_: None) -> None:
            if context.whole is whole:
                self._whole = whole, tables
                self._publish_before()

        label = "ablating heads of the whole model"
        self._ablate(whole, tables, {}, "importance before", label, lambda: True, done)

    def publish(self) -> None:
        """Send all tables to the browser; the selected metric's is ``importance`` in Python."""
        traits = self._traits
        if traits.metric not in self._tables:
            return
        after = traits.decision.get("target_after")
        baseline = traits.decision.get("target_before", 0) if after is None else after
        traits._importance_data = _encoded(self._tables, baseline)
        traits.importance = self._tables[traits.metric].copy()

    def _publish_before(self) -> None:
        before = None if self._context.pruned is None else self.before
        baseline = self._traits.decision.get("target_before", 0)
        self._traits._importance_before = b"" if before is None else _encoded(before, baseline)

    def _unknown(self) -> dict[Metric, Table]:
        context = self._context
        shape = (context.vit.num_layers, max(context.vit.num_heads))
        return {metric: np.full(shape, np.nan, np.float32) for metric in metrics(context)}

    def _ablate(
        self,
        trace: Trace,
        tables: dict[Metric, Table],
        without: dict[Head, DecisionWithout],
        slot: str,
        label: str,
        publish: Callable[[], bool],
        done: Callable[[None], None],
    ) -> None:
        """Fill the tables step by step; what publishes them says whether they still count."""
        context = self._context
        counts = True

        def take(importance: HeadImportance) -> None:
            nonlocal counts
            with context.lock:
                if not counts:
                    return
                for metric, table in tables.items():
                    table[:] = importance[metric][0].float().cpu().numpy()
                counts = publish()

        def watch(removal: Removal) -> None:
            without.update(_decisions(trace, removal))

        def steps(progress: Progress, start: HeadImportance | None) -> Iterator[HeadImportance]:
            return steps_of_trace(trace, tuple(tables), None, progress, start, watch=watch)

        def says() -> str:
            nothing = f"0 of {unmasked_heads(trace)} heads"
            return nothing if work.latest is None else work.latest.how_far

        work = Stepwise(steps, take)
        context.do(context.lanes.long, slot, label, work, done, says=says)


def _decisions(trace: Trace, removal: Removal) -> dict[Head, DecisionWithout]:
    """The decision without each of the removed heads; nothing where no class is explained."""
    if trace.target.index is None or not trace.model.has_classes:
        return {}
    (target,) = trace.target.index
    each = probabilities(removal.outcome.logits[:, 0], removal.outcome.kind)
    return {
        (removal.layer, head): {
            "target_after": float(after[target]),
            "rows": decision_rows(trace, after),
        }
        for head, after in zip(removal.heads, each, strict=True)
    }


def _encoded(tables: dict[Metric, Table], baseline: float) -> bytes:
    named: ImportanceTables = {str(metric): table for metric, table in tables.items()}
    metadata: BaselineMetadata = {"baseline": baseline}
    return encode(named, metadata)
