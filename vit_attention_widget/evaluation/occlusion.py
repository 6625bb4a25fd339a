"""The images of a trace with parts of them hidden, and what the model makes of those."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import torch
from torch import Tensor

from ..errors import ParameterError
from ..support.progress import Progress
from ..tracing.masking import masked_heads
from ..tracing.memory import batch_limit, is_out_of_memory, release
from ..tracing.trace import Trace
from .fill import Fill, filled

__all__ = ["Outcome", "Perturbed"]

Span = tuple[int, int]
"""The ranks from the first to before the second are hidden."""


@dataclass(frozen=True)
class Outcome:
    """What the model makes of variants of each image.

    Attributes
    ----------
    value : Tensor
        [batch, variant], float64: the probability of the class, or the target's own value where
        it is not a class.
    first : Tensor
        [batch, variant], float64: 1 where the class comes first. Where the target is not a class
        it is ``value``.
    """

    value: Tensor
    first: Tensor

    def __getitem__(self, variants: Tensor) -> Outcome:
        return Outcome(self.value[:, variants], self.first[:, variants])


class Perturbed:
    """Hide parts of a trace's images; whole and empty pictures are run once and remembered.

    Parameters
    ----------
    trace : Trace
        Its images, target and masked heads are used; gradients are not needed.
    seed : int
        Of noise and of the order of equal values.
    first : int
        Number of the trace's first image in a larger set, so that noise does not depend on how
        the set is cut into batches.
    max_batch : int, optional
        At most so many variants run at once; chosen from the free memory by default.
    progress : callable, optional
        Called with (fraction of ``expected``, label) after every few variants.
    expected : int
        How many variants there will be in all.
    """

    def __init__(
        self,
        trace: Trace,
        *,
        seed: int = 0,
        first: int = 0,
        max_batch: int | None = None,
        progress: Progress | None = None,
        expected: int = 0,
    ) -> None:
        if max_batch is not None and max_batch < 1:
            raise ParameterError(f"max_batch is {max_batch}: at least 1 image must run at once.")
        self.trace, self.seed, self.first = trace, seed, first
        self.expected, self.done = expected, 0
        self._progress = progress
        self._at_once = max_batch or batch_limit(trace)
        self._fills: dict[Fill, Tensor] = {}
        self._known: dict[Fill | None, Outcome] = {}

    def fill(self, fill: Fill) -> Tensor:
        """Pictures of nothing but the fill, [batch, 3, height, width]."""
        if fill not in self._fills:
            self._fills[fill] = filled(self.trace, fill, seed=self.seed + self.first)
        return self._fills[fill]

    def whole(self) -> Outcome:
        """The pictures as they are, one variant."""
        if None not in self._known:
            self._known[None] = self.run(1, lambda image, _: self.trace.inputs[image])
        return self._known[None]

    def empty(self, fill: Fill) -> Outcome:
        """The pictures with everything hidden, one variant."""
        if fill not in self._known:
            nothing = self.fill(fill)
            self._known[fill] = self.run(1, lambda image, _: nothing[image])
        return self._known[fill]

    def hidden(self, ranks: Tensor, spans: Sequence[Span], fill: Fill) -> Outcome:
        """The pictures with the pixels of some ranks hidden, a variant a span.

        Parameters
        ----------
        ranks : Tensor
            [batch, height, width], from :func:`~.maps.pixel_ranks`.
        spans : sequence of (int, int)
        fill : str or callable
        """
        total = int(ranks.max()) + 1
        each = list(dict.fromkeys(spans))  # rounding may give one span twice
        parts = [(a, b) for a, b in each if 0 < min(b, total) - a < total]
        results: dict[Span, Outcome] = {}
        if parts:
            low, high = torch.tensor(parts, device=ranks.device).unbind(1)
            nothing = self.fill(fill)

            def make(image: Tensor, variant: Tensor) -> Tensor:
                rank = ranks[image]
                hide = (rank >= low[variant, None, None]) & (rank < high[variant, None, None])
                return torch.where(hide[:, None], nothing[image], self.trace.inputs[image])

            found = self.run(len(parts), make)
            results = {span: found[torch.tensor([i])] for i, span in enumerate(parts)}
        for span in each:
            if span not in results:
                results[span] = self.whole() if span[1] <= span[0] else self.empty(fill)
        return Outcome(
            torch.cat([results[span].value for span in spans], 1),
            torch.cat([results[span].first for span in spans], 1),
        )

    def run(self, count: int, make: Callable[[Tensor, Tensor], Tensor]) -> Outcome:
        """Run ``count`` variants of every image, as many at once as memory allows.

        ``make`` gets the numbers of images and of variants, [n] each, and returns their inputs.
        """
        trace, batch = self.trace, self.trace.batch_size
        by_class = trace.target.index is not None
        rows: list[Tensor] = []
        pairs = torch.arange(batch * count, device=trace.inputs.device)
        with ExitStack() as stack:
            stack.enter_context(torch.no_grad())
            stack.enter_context(trace.rerunning())
            if trace.head_mask:
                stack.enter_context(masked_heads(trace.model, trace.head_mask))
            at = 0
            while at < len(pairs):
                part = pairs[at : at + self._at_once]
                # the variants of one image follow each other
                image, variant = part // count, part % count
                try:
                    logits = trace.model.forward(make(image, variant)).detach()
                except RuntimeError as error:
                    if not is_out_of_memory(error) or self._at_once == 1:
                        raise
                    self._at_once = max(1, self._at_once // 2)
                    release(trace.inputs.device)
                    continue
                rows.append(self._class_rows(logits, image) if by_class else logits)
                at += len(part)
                self._advance(len(part))
        together = torch.cat(rows).unflatten(0, (batch, count))
        if by_class:
            return Outcome(together[..., 0].cpu(), together[..., 1].cpu())
        # A callable may know each image's place in the batch: it is given whole batches.
        with torch.no_grad():
            scores = [trace.target.score(logits) for logits in together.unbind(1)]
        value = torch.stack(scores, 1).cpu().double()
        return Outcome(value, value)

    def _class_rows(self, logits: Tensor, image: Tensor) -> Tensor:
        logits = logits.cpu()  # not every device knows float64
        index = torch.tensor(self.trace.target.index)[image.cpu(), None]
        probability = logits.double().softmax(-1).gather(1, index)[:, 0]
        return torch.stack([probability, (logits.argmax(-1) == index[:, 0]).double()], 1)

    def _advance(self, count: int) -> None:
        self.done += count
        if self._progress is not None:
            self._progress(min(1.0, self.done / max(1, self.expected)), "hiding patches")
