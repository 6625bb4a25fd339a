"""A trace's images, changed and run through the model again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TypeAlias

import torch
from torch import Tensor

from ..errors import ParameterError
from ..support.progress import Progress
from ..tracing.masking import masked_heads
from ..tracing.memory import batch_limit, is_out_of_memory, release
from ..tracing.trace import Trace
from ..tracing.whole_graph import gradients_or_why_not

__all__ = ["Baseline", "baseline_inputs", "in_batches", "running_again"]

Baseline: TypeAlias = float | Tensor
"""What stands for nothing: a number in the model's input, or inputs of the images' size."""


def baseline_inputs(trace: Trace, baseline: Baseline) -> Tensor:
    """Inputs that stand for nothing, [batch, channel, height, width].

    Raises
    ------
    ParameterError
        If they are not of the size of the trace's images.
    """
    inputs = trace.inputs.detach()
    values = torch.as_tensor(baseline).to(inputs)
    try:
        full = values.broadcast_to(inputs.shape)
    except RuntimeError as error:
        raise ParameterError(
            f"The baseline has the shape {list(values.shape)}, the images {list(inputs.shape)}: "
            "give a number, or model input of that size."
        ) from error
    if not full.isfinite().all():
        raise ParameterError("The baseline is not finite: give a finite number or finite inputs.")
    return full


@contextmanager
def running_again(trace: Trace, *, gradients: bool) -> Iterator[None]:
    """Run the model again as in the trace, its masked heads masked."""
    with ExitStack() as stack:
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.set_grad_enabled(gradients))
        stack.enter_context(trace.rerunning())
        stack.enter_context(gradients_or_why_not(trace.model))
        if trace.head_mask:
            stack.enter_context(masked_heads(trace.model, trace.head_mask))
        yield


def in_batches(
    trace: Trace,
    count: int,
    run: Callable[[list[int]], None],
    max_batch: int | None,
    progress: Progress,
    label: str,
) -> None:
    """Run all variants of the images, as many at once as memory allows.

    Parameters
    ----------
    trace : Trace
    count : int
        How many variants of each image there are.
    run : callable
        Given the numbers of some variants; not called again with the same, unless memory ran out.
    max_batch : int, optional
        At most so many images at once; chosen from the free memory by default.
    progress : callable
        Called before every batch, which is where the work can be cancelled.
    label : str
        What is being done.
    """
    if max_batch is not None and max_batch < 1:
        raise ParameterError(f"max_batch is {max_batch}: at least 1 image must run at once.")
    together = max(1, (max_batch or batch_limit(trace)) // trace.batch_size)
    start = 0
    while start < count:
        progress(start / count, label)
        part = list(range(start, min(count, start + together)))
        try:
            run(part)
        except RuntimeError as error:
            if not is_out_of_memory(error) or together == 1:
                raise
            together //= 2
            release(trace.inputs.device)
            continue
        start += len(part)
    progress(1.0, label)
