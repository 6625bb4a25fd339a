"""Which heads take over when another is gone."""

from __future__ import annotations

import time
from collections.abc import Iterator

from ...errors import ParameterError
from ...importance.interactions import HeadInteractions, head_interactions_steps
from ...importance.metrics import Metric
from ...protocol.schema.results import BackupHead, Interactions
from ...support.progress import Progress
from ...tracing.trace import Trace
from ..context import Context
from ..description import metrics
from ..stepwise import Stepwise
from .study import Study

__all__ = ["InteractionsStudy"]

_SLOT = "interactions"
_BACKUPS = 12
"""So many pairs are named, those that change most."""

_EVERY = 0.5
"""What is known so far is shown at most this often, in seconds."""


class InteractionsStudy(Study):
    """How heads depend on each other: measured on the image when asked for, or brought along.

    What is brought along is of many images, and stays while other images are looked at; what was
    measured is of one trace.
    """

    def __init__(self, context: Context) -> None:
        self._given: HeadInteractions | None = None
        self._measured: tuple[Trace, HeadInteractions] | None = None
        self._asks = False
        super().__init__(context)

    def reset(self) -> None:
        self._measured, self._asks = None, False
        self._publish()

    def follow_trace(self) -> None:
        if self._measured is not None and self._measured[0] is not self._context.whole:
            self._measured = None  # of another target
            self._publish()

    def forget(self) -> None:
        """Another model: its heads depend on each other otherwise."""
        self._given = None
        self._publish()

    @property
    def interactions(self) -> HeadInteractions | None:
        """What was measured on this image, or else what was given; None without either."""
        return self._given if self._measured is None else self._measured[1]

    @interactions.setter
    def interactions(self, given: HeadInteractions | None) -> None:
        heads = self._context.vit.num_heads
        if given is not None:
            if not isinstance(given, HeadInteractions):
                raise ParameterError(
                    f"interactions is a {type(given).__name__}: give what head_interactions "
                    "returns."
                )
            shape = tuple(given.importance.shape[1:])
            if shape != (len(heads), max(heads)):
                raise ParameterError(
                    f"These interactions are of {shape[0]} layers of {shape[1]} heads, but "
                    f"{self._context.vit.name} has {len(heads)} of {max(heads)}: give those of "
                    "this model."
                )
        with self._context.lock:
            self._given, self._measured = given, None
            self._publish()

    def measure(self, metric: Metric | None = None) -> None:
        """Mask each head of the whole model in turn, and measure the others again.

        Raises
        ------
        ParameterError
            If there is no such metric for what is explained.
        """
        context = self._context
        available = metrics(context)
        chosen: Metric = metric or self._traits.metric  # type: ignore[assignment]  # checked below
        if chosen not in available:
            raise ParameterError(
                f"The metric is {chosen!r}: choose from {', '.join(available) or 'none'}."
            )
        shown_at = 0.0

        def steps(progress: Progress, start: HeadInteractions | None) -> Iterator[HeadInteractions]:
            context.wait_for_trace()
            context.shown()
            whole = context.whole
            assert whole is not None
            same = self._measured is not None and self._measured[0] is whole
            for measured in head_interactions_steps(
                whole, metric=chosen, start=start if same else None, progress=progress
            ):
                take(whole, measured)
                yield measured

        def take(whole: Trace, measured: HeadInteractions) -> None:
            nonlocal shown_at
            with context.lock:
                if context.whole is not whole:
                    return
                self._measured = whole, measured
                if time.monotonic() - shown_at > _EVERY:
                    shown_at = time.monotonic()
                    self._publish()

        def ended(_: object = None) -> None:
            self._asks = False
            self._publish()

        def says() -> str:
            return "0 heads masked" if work.latest is None else work.latest.how_far

        def begin() -> None:
            with context.lock:
                self._asks = True
                self._publish()
            context.do(
                context.lanes.longest, _SLOT, "masking pairs of heads", work, ended,
                dropped=ended, says=says, go_on=begin,
            )  # fmt: skip

        work = Stepwise(steps)
        begin()

    def _publish(self) -> None:
        interactions = self.interactions
        if interactions is None and not self._asks:
            self._traits._interactions = {}
            return
        self._traits._interactions = _payload(
            interactions, self._asks, of_image=self._given is not interactions
        )


def _payload(interactions: HeadInteractions | None, asks: bool, *, of_image: bool) -> Interactions:
    if interactions is None:
        return {
            "metric": "", "target": "", "images": 0, "of_image": True, "done": 0, "total": 0,
            "asks": asks, "backups": [],
        }  # fmt: skip
    backups: list[BackupHead] = [
        {
            "gone": pair.gone,
            "backup": pair.backup,
            "importance": pair.importance,
            "change": pair.change,
        }
        for pair in interactions.backups(_BACKUPS)
    ]
    left = sum(part.gone_left for part in interactions.parts)
    return {
        "metric": interactions.metric,
        "target": interactions.target,
        "images": len(interactions),
        "of_image": of_image,
        "done": len(interactions.gone) - left,
        "total": len(interactions.gone),
        "asks": asks,
        "backups": backups,
    }
