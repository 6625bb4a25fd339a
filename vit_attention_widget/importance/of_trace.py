"""Importance of the heads in one trace: one backward pass, or one head fewer at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from ..errors import ParameterError, TargetError
from ..support.progress import Progress
from ..tracing.trace import Trace
from .head_ablation import Removal, removals
from .metrics import EXACT, METRICS, NEED_A_CLASS, Metric, exact_values, lacking
from .result import HeadImportance, Part
from .taylor import taylor
from .upper_layers import recorded_outcome

__all__ = ["steps_of_trace", "unmasked_heads"]


def steps_of_trace(
    trace: Trace,
    metrics: tuple[Metric, ...],
    max_batch: int | None,
    report: Progress,
    before: HeadImportance | None = None,
    watch: Callable[[Removal], None] = lambda _: None,
) -> Iterator[HeadImportance]:
    """What is known of the images of a trace, ever more of it; the last is complete.

    ``before`` is what is known of these images already; ``watch`` is told of what comes of each
    head that is removed.
    """
    exact = [metric for metric in metrics if metric in EXACT]
    labels = _labels(trace, exact)
    _check_defined(trace, metrics)
    baseline = _baseline(trace, labels)
    heads = unmasked_heads(trace)
    left = heads if exact else 0
    if before is None:
        shape = (trace.batch_size, trace.num_layers, max(trace.num_heads))
        values = {metric: trace.probabilities.new_full(shape, torch.nan) for metric in metrics}
        if "taylor" in metrics:
            values["taylor"] = taylor(trace)
    else:
        _check_same(trace, before, baseline, heads)
        values = {metric: before[metric].to(baseline.device).clone() for metric in metrics}
        left = before.parts[0].heads_left

    def known() -> HeadImportance:
        copied = {metric: table.clone() for metric, table in values.items()}
        part = Part(copied, baseline, labels, trace.model.output, left, heads)
        return HeadImportance((part,), metrics, trace.target.name, ongoing=left > 0)

    if not left or (before is None and "taylor" in metrics):
        yield known()
    if not left:
        return
    for removal in removals(trace, max_batch=max_batch, progress=report, skip=heads - left):
        watch(removal)
        recorded = recorded_outcome(trace, removal.layer)
        for metric in exact:
            change = exact_values(metric, recorded, removal.outcome, labels)
            values[metric][:, removal.layer, removal.heads] = change.T.to(values[metric])
        left -= len(removal.heads)
        yield known()


def _check_same(trace: Trace, before: HeadImportance, baseline: Tensor, heads: int) -> None:
    """Raise unless what is known is of this model and these images, as far as one can see."""
    part = before.parts[0]
    alike = part.heads == heads and part.baseline.shape == baseline.shape
    now, then = baseline.double().cpu(), part.baseline.double().cpu()
    if not alike or not torch.allclose(now, then, rtol=1e-2, atol=1e-3, equal_nan=True):
        raise ParameterError(
            "What is given as start is of another model, target or other images: there the "
            f"decision with every head in place was {said_values(then)}, here it is "
            f"{said_values(now)}. Give what was computed by the same call."
        )


def said_values(values: Tensor) -> str:
    """The first values of some, as text."""
    some = ", ".join(f"{value:.4g}" for value in values.flatten()[:3].tolist())
    return some + (", ..." if values.numel() > 3 else "")


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


def unmasked_heads(trace: Trace) -> int:
    """How many heads there are to remove."""
    return sum(trace.num_heads) - sum(len(heads) for heads in trace.head_mask.values())
