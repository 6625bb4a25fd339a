"""The traces that a session's selections ask for; everything else is computed from them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..errors import TargetError
from ..models.head_index import check_heads, head_pairs
from ..protocol.schema.results import Decision, Empty
from ..support.progress import Progress
from ..targets.user_target import TargetLike
from ..tracing.run import first_difference, remask, trace
from ..tracing.trace import Trace
from . import payloads
from .attention import AttentionPayloads
from .context import Context
from .description import describe_subject

__all__ = ["Traces"]


@dataclass(frozen=True)
class _Traced:
    """Traces of the whole model and of the pruned one, and what they explain.

    ``other`` is the target if it is not a class; ``follows_prediction`` is whether it is the
    predicted class, whichever that is; ``refused`` is why a target that was asked for could not be
    explained.
    """

    whole: Trace
    pruned: Trace | None
    other: TargetLike
    follows_prediction: bool
    refused: TargetError | None


class Traces:
    """Computes the trace of the whole model, and the one with the pruned heads masked.

    Parameters
    ----------
    context : Context
    attention : AttentionPayloads
        Whose rows of the selected token come with a new trace.
    then : callable
        Called with the lock held when new traces are there.
    """

    def __init__(
        self, context: Context, attention: AttentionPayloads, then: Callable[[], None]
    ) -> None:
        self._context = context
        self._attention = attention
        self._then = then

    def start(self, label: str) -> None:
        """Trace what is selected now; ``label`` says in the status why."""
        context = self._context
        context.do(context.lanes.quick, "trace", label, self._compute, self._take)

    def reset(self) -> None:
        """Drop the traces of another model or image, and what was said of them."""
        context = self._context
        context.whole = context.pruned = context.explained.traced_other = None
        context.traits.decision, context.traits._attention_rows = {}, b""

    def show_target(self) -> None:
        """Select the class that the trace explains; this is no choice of the user's."""
        context = self._context
        assert context.whole is not None
        index = context.whole.target.index
        with context.quietly():
            context.traits.target = index[0] if index else None

    def _compute(self, progress: Progress) -> _Traced:
        """The traces that the selections ask for; what is there already is not run again."""
        context = self._context
        explained = context.explained
        other, follows, refused = explained.other, explained.follows_prediction, None
        try:
            whole = self._whole(other, progress)
        except TargetError as error:
            if other is None:
                raise
            other, refused = None, error  # it could not be known before the image was looked at
            whole = self._whole(None, progress)
        mask = check_heads(context.vit, context.traits.pruned_heads)
        if not mask:
            return _Traced(whole, None, other, follows, refused)
        traces = [trace for trace in (whole, context.pruned) if trace is not None]
        nearest = max(traces, key=lambda trace: first_difference(trace, mask))
        pruned = remask(nearest, mask, progress=progress)  # the layers below need not run again
        index = whole.target.index
        same = pruned.target.index == index if index else pruned.target is whole.target
        pruned = pruned if same else pruned.retarget(whole.target)
        return _Traced(whole, pruned, other, follows, refused)

    def _whole(self, other: TargetLike, progress: Progress) -> Trace:
        """The whole model's trace for another target, or else for the class that is selected."""
        context = self._context
        explained, whole = context.explained, context.whole
        target = other
        if other is None and not explained.follows_prediction:
            target = context.traits.target
        if whole is None:
            return trace(context.vit, context.subject.inputs, target, progress=progress)
        if other is not None or explained.traced_other is not None:
            return whole if other is explained.traced_other else whole.retarget(target)
        if whole.target.index is None:
            return whole
        wanted = int(whole.probabilities.argmax()) if target is None else target
        return whole if whole.target.index == (wanted,) else whole.retarget(wanted)

    def _take(self, traced: _Traced) -> None:
        context = self._context
        traits, explained = context.traits, context.explained
        context.whole, context.pruned = traced.whole, traced.pruned
        other_classes = traced.whole.model is not context.vit
        context.described = traced.whole.model
        explained.traced_other = traced.other
        explained.traced_follows = traced.follows_prediction
        if traced.refused is not None:
            explained.other = None
        if traced.refused is not None or other_classes:
            describe_subject(context)
        shown = context.shown()
        masked = head_pairs(shown.head_mask)
        decision: Decision | Empty = {}
        if context.explains:
            follows = traced.follows_prediction and traced.other is None
            decision = payloads.decision(traced.whole, traced.pruned, masked, follows)
        rows = self._attention.rows_with(
            traits.selected_layer, traits.selected_token, traits.direction
        )
        self.show_target()
        traits.decision, traits._attention_rows = decision, rows
        traits._version += 1
        self._then()
        if traced.refused is not None:
            context.fail(traced.refused)
