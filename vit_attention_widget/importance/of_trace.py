"""Importance of the heads in one trace: one backward pass, or one head fewer at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from ..errors import ParameterError, TargetError
from ..support.progress import Progress
from ..tracing.trace import Trace
from .head_ablation import removals
from .metrics import EXACT, METRICS, NEED_A_CLASS, Metric, exact_values, lacking
from .result import Part
from .taylor import taylor
from .upper_layers import recorded_outcome

__all__ = ["steps_of_trace"]


def steps_of_trace(
    trace: Trace,
    metrics: tuple[Metric, ...],
    max_batch: int | None,
    report: Progress,
) -> Iterator[tuple[str, Part, bool]]:
    """What is known of the images of a trace, ever more of it.

    Yields
    ------
    target : str
    part : Part
    complete : bool
        Whether that is all.
    """
    exact = [metric for metric in metrics if metric in EXACT]
    labels = _labels(trace, exact)
    _check_defined(trace, metrics)
    baseline = _baseline(trace, labels)
    shape = (trace.batch_size, trace.num_layers, max(trace.num_heads))
    values = {metric: trace.probabilities.new_full(shape, torch.nan) for metric in metrics}
    if "taylor" in metrics:
        values["taylor"] = taylor(trace)

    def part() -> Part:
        copied = {metric: table.clone() for metric, table in values.items()}
        return Part(copied, baseline, labels, trace.model.output)

    name, left = trace.target.name, _heads_left(trace)
    if not exact or not left:
        yield name, part(), True
        return
    if "taylor" in metrics:
        yield name, part(), False
    for removal in removals(trace, max_batch=max_batch, progress=report):
        before = recorded_outcome(trace, removal.layer)
        for metric in exact:
            change = exact_values(metric, before, removal.outcome, labels)
            values[metric][:, removal.layer, removal.heads] = change.T.to(values[metric])
        left -= len(removal.heads)
        yield name, part(), left == 0


def _labels(trace: Trace, exact: Sequence[str]) -> Tensor | None:
    """The class of each image, [image]; None where the target is not a class."""
    if trace.target.index is not None:
        return torch.tensor(trace.target.index)
    needy = next((metric for metric in exact if metric in NEED_A_CLASS), None)
    if needy is not None:
        raise ParameterError(
            f"The target {trace.target.name!r} is not a class, so it has no {needy}: give a class "
            'index or name, or choose metric="taylor", "jsd" or "class_token_cosine".'
        )
    return None


def _check_defined(trace: Trace, metrics: Sequence[Metric]) -> None:
    """Raise :class:`ParameterError` if a metric is not defined for what the model returns."""
    kind = trace.model.output
    undefined = next((metric for metric in metrics if metric in lacking(kind)), None)
    if undefined is not None:
        defined = [metric for metric in METRICS if metric not in lacking(kind)]
        raise ParameterError(
            f"There is no {undefined} of what {trace.model.name} returns, which is "
            f"{'a value' if kind == 'value' else 'features'}, not probabilities: choose from "
            f'{", ".join(defined)}, or say output="softmax" or output="sigmoid" of the model.'
        )


def _baseline(trace: Trace, labels: Tensor | None) -> Tensor:
    """With every head in place; NaN where nothing is explained, as no exact metric needs it."""
    if labels is not None:
        return trace.probabilities[torch.arange(trace.batch_size), labels]
    try:
        return trace.target.score(trace.logits)
    except TargetError:
        return trace.probabilities.new_full((trace.batch_size,), torch.nan)


def _heads_left(trace: Trace) -> int:
    return sum(trace.num_heads) - sum(len(heads) for heads in trace.head_mask.values())
