"""How much each head matters for what is explained."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from ...importance.metrics import Metric
from ...importance.run import HeadImportance, head_importance_steps
from ...protocol.schema.tensors import BaselineMetadata, ImportanceTables
from ...protocol.tensors import encode
from ...support.progress import Progress
from ..description import metrics
from ..stepwise import Stepwise
from .study import Study

__all__ = ["ImportanceStudy"]

Table = NDArray[np.float32]
"""[layer, head]; NaN where not known (yet), and for pruned heads."""


class ImportanceStudy(Study):
    """Importance of every head by every metric, as it is computed."""

    def reset(self) -> None:
        self._tables: dict[Metric, Table] = {}
        self._traits._importance_data = b""

    def follow_trace(self) -> None:
        context = self._context
        shape = (context.vit.num_layers, max(context.vit.num_heads))
        self._tables = {m: np.full(shape, np.nan, np.float32) for m in metrics(context)}
        self.publish()
        tables, trace = self._tables, context.shown()

        def take(importance: HeadImportance) -> None:
            with context.lock:
                if self._tables is not tables:  # started anew meanwhile
                    return
                for metric, table in tables.items():
                    table[:] = importance[metric][0].float().cpu().numpy()
                self.publish()

        def steps(progress: Progress) -> Iterator[HeadImportance]:
            return head_importance_steps(trace, metric=tuple(tables), progress=progress)

        def says() -> str:
            exact = next((table for name, table in tables.items() if name != "taylor"), None)
            known = 0 if exact is None else int(np.isfinite(exact).sum())
            total = sum(trace.num_heads) - sum(map(len, trace.head_mask.values()))
            return f"{known} of {total} heads"

        context.do(
            context.lanes.long, "importance", "ablating heads", Stepwise(steps, take), says=says
        )

    def publish(self) -> None:
        """Send all tables to the browser; the selected metric's is ``importance`` in Python."""
        traits = self._traits
        if traits.metric not in self._tables:
            return
        after = traits.decision.get("target_after")
        baseline = traits.decision.get("target_before", 0) if after is None else after
        tables: ImportanceTables = {str(metric): table for metric, table in self._tables.items()}
        metadata: BaselineMetadata = {"baseline": baseline}
        traits._importance_data = encode(tables, metadata)
        traits.importance = self._tables[traits.metric].copy()
