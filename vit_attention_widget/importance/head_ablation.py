"""Remove every head in turn, without ever repeating the layers below it.

In block l the head outputs are known from the trace. One variant a head, with that head's output
zeroed, goes through the rest of block l and the blocks above it, many variants in one batch.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from ..errors import CaptureError
from ..support.progress import Progress
from ..tracing.checks.alone import check_alone
from ..tracing.checks.sequence import check_chain
from ..tracing.memory import batch_limit, is_out_of_memory, keep_freed_blocks, release
from ..tracing.trace import Trace
from .upper_layers import Outcome, needed_rows, outcome

__all__ = ["Removal", "removals"]


@dataclass(frozen=True)
class Removal:
    """What comes of removing some heads of a layer, one at a time: one variant a head."""

    layer: int
    heads: list[int]
    outcome: Outcome


def removals(
    trace: Trace, *, max_batch: int | None = None, progress: Progress | None = None, skip: int = 0
) -> Iterator[Removal]:
    """Remove each head that is not masked, from the last layer, the cheapest, to the first.

    The first ``skip`` of them were removed before. At most ``max_batch`` images run at once
    (chosen from the free memory by default); where even they are too many for the memory, half of
    them do.
    """
    limit = max(1, (max_batch or batch_limit(trace)) // trace.batch_size)
    done, total = 0, sum(trace.num_layers - layer for layer in range(trace.num_layers))
    of = sum(trace.num_heads) - sum(len(heads) for heads in trace.head_mask.values())
    removed = 0
    with trace.rerunning(), torch.inference_mode():
        trace.readout.check()
        check_chain(trace.layers, trace.model)
        check_alone(trace.forward_pass)
    keep_freed_blocks(trace.inputs.device)
    for layer in reversed(range(trace.num_layers)):
        masked = set(trace.head_mask.get(layer, ()))
        heads = [h for h in range(trace.num_heads[layer]) if h not in masked]
        start = min(skip, len(heads))
        skip, removed = skip - start, removed + start
        while start < len(heads):
            part = heads[start : start + limit]
            try:
                without = _without(trace, layer, part)
            except RuntimeError as error:
                if not is_out_of_memory(error) or len(part) == 1:
                    raise
                without, limit = None, len(part) // 2
            if without is None:
                release(trace.inputs.device)
                continue
            yield Removal(layer, part, without)
            start, removed = start + len(part), removed + len(part)
            if progress is not None:
                share = (trace.num_layers - layer) * start / len(heads)
                heads_done = f"{removed} of {of} heads"
                progress((done + share) / total, f"removing heads of layer {layer}, {heads_done}")
        done += trace.num_layers - layer


def _without(trace: Trace, layer: int, heads: list[int]) -> Outcome:
    with trace.rerunning(), torch.inference_mode():
        out, rows = trace.layers[layer].out, needed_rows(trace, layer)
        if rows is not None:
            out = out[:, :, rows]
        variants: Tensor = out.unsqueeze(0).repeat(len(heads), 1, 1, 1, 1)
        variants[range(len(heads)), :, heads] = 0
        without = outcome(trace, layer, variants)
    broken = ~torch.isfinite(without.logits).all(-1).all(-1)
    if broken.any():
        head = heads[int(broken.nonzero()[0])]
        raise CaptureError(
            f"Without head {head} of layer {layer} the logits of {trace.model.name} are not "
            "finite: look for overflow in half precision."
        )
    return without
