"""What becomes of the decision without parts of one head's attention."""

from __future__ import annotations

from ...models.head_index import head_index, layer_index
from ...protocol.schema.results import PartialPruning
from ...pruning.partial import partial_pruning
from ...support.progress import Progress
from ...tracing.trace import Trace
from .. import payloads
from .study import Study

__all__ = ["PartialStudy"]


class PartialStudy(Study):
    """Partial pruning of one head, when asked for."""

    def reset(self) -> None:
        self._traits.partial = {}

    def follow_trace(self) -> None:
        self._traits.partial = {}

    def prune(self, layer: int, head: int) -> None:
        """Find out which part of a head's attention the decision rests on.

        Raises
        ------
        ParameterError
            If the layer or head does not exist.
        """
        context = self._context
        layer = layer_index(context.vit, layer)
        head = head_index(context.vit, layer, head)

        def work(_: Progress) -> tuple[Trace, PartialPruning]:
            shown = context.shown()
            return shown, payloads.partial(partial_pruning(shown, layer=layer, head=head))

        def show(result: tuple[Trace, PartialPruning]) -> None:
            trace, partial = result
            if context.trace is trace:
                self._traits.partial = partial

        context.do(context.lanes.quick, "partial", "", work, show)
