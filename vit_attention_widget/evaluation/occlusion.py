"""A trace's images with parts of them hidden, and what the model makes of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor

from ..errors import ParameterError
from ..models.output_kind import picks, probabilities
from ..support.progress import Progress, no_progress
from ..tracing.masking import masked_heads
from ..tracing.memory import batch_limit, is_out_of_memory, release
from ..tracing.run import check_logits
from ..tracing.trace import Trace
from .fill import Fill, completely_hidden

__all__ = ["Occluder", "Outcome", "Span"]

Span: TypeAlias = tuple[int, int]
"""All ranks from the first to before the second are hidden."""


@dataclass(frozen=True)
class Outcome:
    """What the model makes of variants of each image.

    Attributes
    ----------
    value : Tensor
        [batch, variant], float64: the probability of the class by the model's kind of output, or
        the target's own value where it is not a class.
    predicted : Tensor
        [batch, variant], float64: 1 where the class is the predicted one (by sigmoid: more probable
        than not), else 0. Where the target is not a class, and of a model of values, ``value``.
    """

    value: Tensor
    predicted: Tensor

    def __getitem__(self, variants: Tensor) -> Outcome:
        return Outcome(self.value[:, variants], self.predicted[:, variants])


class Occluder:
    """Runs the model on a trace's images with parts of them hidden.

    The whole images and the completely hidden ones are run once and remembered.

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
    progress : callable
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
        progress: Progress = no_progress,
        expected: int = 0,
    ) -> None:
        if max_batch is not None and max_batch < 1:
            raise ParameterError(f"max_batch is {max_batch}: at least 1 image must run at once.")
        self.trace, self.seed, self.first = trace, seed, first
        self.expected, self.done = expected, 0
        self._progress = progress
        self._batch = max_batch or batch_limit(trace)
        self._hidden: dict[Fill, Tensor] = {}
        self._known: dict[Fill | None, Outcome] = {}

    def completely_hidden(self, fill: Fill) -> Tensor:
        """Images of which everything is hidden, [batch, 3, height, width]."""
        if fill not in self._hidden:
            seed = self.seed + self.first
            self._hidden[fill] = completely_hidden(self.trace, fill, seed=seed)
        return self._hidden[fill]

    def run_whole(self) -> Outcome:
        """The images as they are, one variant."""
        if None not in self._known:
            self._known[None] = self.run(1, lambda image, _: self.trace.inputs[image])
        return self._known[None]

    def run_completely_hidden(self, fill: Fill) -> Outcome:
        """The images with everything hidden, one variant."""
        if fill not in self._known:
            hidden = self.completely_hidden(fill)
            self._known[fill] = self.run(1, lambda image, _: hidden[image])
        return self._known[fill]

    def run_hidden(self, ranks: Tensor, spans: Sequence[Span], fill: Fill) -> Outcome:
        """The images with the pixels of some ranks hidden, a variant for each span.

        Parameters
        ----------
        ranks : Tensor
            [batch, height, width], from :func:`~.maps.pixel_ranks`.
        spans : sequence of (int, int)
        fill : str or callable
        """
        total = int(ranks.max()) + 1
        distinct = list(dict.fromkeys(spans))  # rounding may give one span twice
        partial = [(a, b) for a, b in distinct if 0 < min(b, total) - a < total]
        outcomes: dict[Span, Outcome] = {}
        if partial:
            low, high = torch.tensor(partial, device=ranks.device).unbind(1)
            hidden = self.completely_hidden(fill)

            def make(image: Tensor, variant: Tensor) -> Tensor:
                rank = ranks[image]
                hide = (rank >= low[variant, None, None]) & (rank < high[variant, None, None])
                return torch.where(hide[:, None], hidden[image], self.trace.inputs[image])

            outcome = self.run(len(partial), make)
            outcomes = {span: outcome[torch.tensor([i])] for i, span in enumerate(partial)}
        for span in distinct:
            if span not in outcomes:
                nothing_hidden = span[1] <= span[0]
                outcomes[span] = (
                    self.run_whole() if nothing_hidden else self.run_completely_hidden(fill)
                )
        return Outcome(
            torch.cat([outcomes[span].value for span in spans], 1),
            torch.cat([outcomes[span].predicted for span in spans], 1),
        )

    def run(self, count: int, make: Callable[[Tensor, Tensor], Tensor]) -> Outcome:
        """Run ``count`` variants of every image, as many at once as memory allows.

        ``make`` takes the numbers of images and of variants, [n] each, and returns their inputs.
        """
        trace, images = self.trace, self.trace.batch_size
        by_class = trace.target.index is not None
        rows: list[Tensor] = []
        pairs = torch.arange(images * count, device=trace.inputs.device)
        with ExitStack() as stack:
            stack.enter_context(torch.no_grad())
            stack.enter_context(trace.rerunning())
            if trace.head_mask:
                stack.enter_context(masked_heads(trace.model, trace.head_mask))
            start = 0
            while start < len(pairs):
                part = pairs[start : start + self._batch]
                # all variants of an image, then those of the next
                image, variant = part // count, part % count
                try:
                    logits = trace.model.forward(make(image, variant)).detach()
                except RuntimeError as error:
                    if not is_out_of_memory(error) or self._batch == 1:
                        raise
                    self._batch = max(1, self._batch // 2)
                    release(trace.inputs.device)
                    continue
                check_logits(logits, trace.model, len(part))
                rows.append(self._class_rows(logits, image) if by_class else logits)
                start += len(part)
                self._advance(len(part))
        together = torch.cat(rows).unflatten(0, (images, count))
        if by_class:
            return Outcome(together[..., 0].cpu(), together[..., 1].cpu())
        # A callable may treat each image of the batch differently: it gets whole batches.
        with torch.no_grad():
            scores = [trace.target.score(logits) for logits in together.unbind(1)]
        value = torch.stack(scores, 1).cpu().double()
        return Outcome(value, value)

    def _class_rows(self, logits: Tensor, image: Tensor) -> Tensor:
        """Probability of the class, and whether it is predicted, [n, 2]."""
        logits = logits.cpu()  # not every device has float64
        index = torch.tensor(self.trace.target.index)[image.cpu(), None]
        kind = self.trace.model.output
        probability = probabilities(logits.double(), kind).gather(1, index)[:, 0]
        # Of a value there is no decision: it stands for itself, as other targets do.
        predicted = probability
        if kind != "value":
            predicted = picks(logits, kind).gather(1, index)[:, 0].double()
        return torch.stack([probability, predicted], 1)

    def _advance(self, count: int) -> None:
        self.done += count
        self._progress(min(1.0, self.done / max(1, self.expected)), "hiding patches")
