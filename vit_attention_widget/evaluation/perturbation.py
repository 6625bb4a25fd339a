"""Does the decision depend on what a map marks? Hide patches in the map's order, and see.

Deletion and insertion (RISE) and the two perturbation tests of Chefer et al. are the same loop:
patches are ranked by the map, and the model is run on images of which the patches of some ranks
are hidden.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal, TypeAlias, get_args

import torch
from torch import Tensor

from ..errors import ParameterError
from ..explainers import Attribution
from ..support.deprecation import renamed_choice
from ..support.progress import ProgressLike, reporting
from ..tracing.trace import Trace
from .curve import Curve
from .fill import Fill
from .maps import Unit, checked_maps, pixel_ranks
from .occlusion import Occluder, Span

__all__ = [
    "FRACTIONS",
    "PerturbationScore",
    "checked_steps",
    "deletion",
    "insertion",
    "negative_perturbation",
    "occluding",
    "positive_perturbation",
]

FRACTIONS = tuple(k / 10 for k in range(1, 10))
"""Chefer et al. hide 10 %, 20 %, ... 90 %."""

PerturbationScore: TypeAlias = Literal["top1", "probability"]


def deletion(
    trace: Trace | Occluder,
    maps: Attribution | Tensor,
    *,
    fill: Fill = "zero",
    steps: int = 20,
    unit: Unit = "patch",
    seed: int = 0,
    max_batch: int | None = None,
    progress: ProgressLike = None,
) -> Curve:
    r"""Probability of the class as the most relevant patches are hidden (RISE).

    Petsiuk et al. 2018. Let :math:`x_k` be the image whose :math:`n_k = \mathrm{round}(k P / K)`
    most relevant of P patches are hidden, k = 0 ... K. The values are :math:`p(c \mid x_k)`, and
    for equal steps the area is :math:`\frac{1}{K} \sum_{k=1}^{K} \frac{p_{k-1} + p_k}{2}`. Lower is
    better.

    Parameters
    ----------
    trace : Trace
        Its images, target and masked heads. The probability is by softmax or by sigmoid, as the
        model's outputs are. Of a model of values, and where the target is not a class, the value
        takes the place of the probability, and the area has its range.
    maps : Attribution or Tensor
        [batch, row, col]; of an attribution the map after the last layer.
    fill : str or callable
        What hidden patches become: ``"blur"``, ``"mean"``, ``"noise"``, ``"zero"``, ``"black"``
        (see :func:`~.fill.completely_hidden`), or a function of the model's input.
    steps : int
        K. Costs K - 1 forward passes an image, and two that all maps of a trace share.
    unit : {"patch", "pixel"}
        What is hidden one after the other. Whole patches are our choice, being what a Vision
        Transformer reads; ``"pixel"`` orders the pixels of the upsampled map, as RISE does.
    seed : int
        Of the order of equal values and of noise.
    max_batch : int, optional
        At most so many images run at once; chosen from the free memory by default.
    progress : callable or bool, optional
        Called with (fraction, label[, seconds left]); True shows a progress bar. A callback may
        raise :class:`~vit_attention_widget.errors.JobCancelled`.

    Returns
    -------
    Curve
        ``.values`` [image, K + 1] and ``.area`` [image], both in [0, 1].

    Raises
    ------
    ParameterError
        If a map has another shape or is not finite, or an option does not exist.

    Examples
    --------
    >>> import vit_attention_widget as vaw
    >>> trace = vaw.trace(vaw.demo.load_model(), vaw.demo.scene(seed=1).image)
    >>> curve = vaw.evaluation.deletion(trace, vaw.explainers.legrad(trace), steps=5)
    >>> curve.values.shape
    torch.Size([1, 6])
    """
    steps = checked_steps(steps)
    with occluding(trace, steps + 1, seed, max_batch, progress) as occluder:
        ranks, total = _ranked(occluder, maps, unit)
        counts = [round(k * total / steps) for k in range(steps + 1)]
        outcome = occluder.run_hidden(ranks, [(0, n) for n in counts], fill)
    return Curve(_shares(counts, total), outcome.value)


def insertion(
    trace: Trace | Occluder,
    maps: Attribution | Tensor,
    *,
    fill: Fill = "blur",
    steps: int = 20,
    unit: Unit = "patch",
    seed: int = 0,
    max_batch: int | None = None,
    progress: ProgressLike = None,
) -> Curve:
    """Probability of the class as the most relevant patches are shown (RISE).

    As :func:`deletion`, but everything is hidden at first, and the most relevant patches appear
    one after the other. Higher is better. How high a map can score depends on the fill: compare
    maps under the same one. Parameters and errors are those of :func:`deletion`.
    """
    steps = checked_steps(steps)
    with occluding(trace, steps + 1, seed, max_batch, progress) as occluder:
        ranks, total = _ranked(occluder, maps, unit)
        counts = [round(k * total / steps) for k in range(steps + 1)]
        outcome = occluder.run_hidden(ranks, [(n, total) for n in counts], fill)
    return Curve(_shares(counts, total), outcome.value)


def positive_perturbation(
    trace: Trace | Occluder,
    maps: Attribution | Tensor,
    *,
    fill: Fill = "black",
    score: PerturbationScore = "top1",
    unit: Unit = "patch",
    seed: int = 0,
    max_batch: int | None = None,
    progress: ProgressLike = None,
) -> Curve:
    r"""Whether the class is still predicted as the most relevant patches are hidden.

    The positive perturbation test of Chefer et al. (2021). The :math:`\lfloor f P \rfloor` most
    relevant of P patches are hidden, f = 0.1, 0.2, ... 0.9. The value is
    :math:`[\arg\max_c p(c \mid x_f) = \mathrm{target}]`, whose mean over images is the accuracy
    that Chefer et al. plot, and the LeGrad paper after them (whose evaluation code is not
    published). Lower is better. Chefer's code does not say how the nine values become an area; here
    it is the mean height by the trapezoidal rule (ours), which for a single image is close to the
    share of the fractions at which its class survives.

    The test is :func:`deletion` from 10 to 90 %, with another fill, and with the top-1 decision in
    place of the probability; its other parameters, and the errors, are the same.

    Parameters
    ----------
    score : {"top1", "probability"}
        ``"top1"``: 1 while the class is the predicted one (by sigmoid: more probable than not),
        else 0. Of a model of values, and where the target is not a class, the value is taken in
        either case.
    unit : {"patch", "pixel"}
        Whole patches are our choice; Chefer et al. hide pixels.

    Returns
    -------
    Curve
        ``.values`` [image, 9] and ``.area`` [image], in [0, 1].
    """
    return _perturbation(trace, maps, False, fill, score, unit, seed, max_batch, progress)


def negative_perturbation(
    trace: Trace | Occluder,
    maps: Attribution | Tensor,
    *,
    fill: Fill = "black",
    score: PerturbationScore = "top1",
    unit: Unit = "patch",
    seed: int = 0,
    max_batch: int | None = None,
    progress: ProgressLike = None,
) -> Curve:
    """Whether the class is still predicted as the least relevant patches are hidden.

    The negative perturbation test of Chefer et al. (2021): :func:`positive_perturbation` in
    opposite order. Higher is better. With the same fill it is :func:`insertion` read backwards.
    """
    return _perturbation(trace, maps, True, fill, score, unit, seed, max_batch, progress)


def _perturbation(
    trace: Trace | Occluder,
    maps: Attribution | Tensor,
    least_first: bool,
    fill: Fill,
    score: PerturbationScore,
    unit: Unit,
    seed: int,
    max_batch: int | None,
    progress: ProgressLike,
) -> Curve:
    score = renamed_choice("score", score, {"first": "top1"})
    if score not in get_args(PerturbationScore):
        raise ParameterError(f"The score is {score!r}: choose 'top1' or 'probability'.")
    with occluding(trace, len(FRACTIONS), seed, max_batch, progress) as occluder:
        ranks, total = _ranked(occluder, maps, unit)
        counts = [int(total * k / 10) for k in range(1, 10)]
        spans: list[Span] = [(total - n, total) if least_first else (0, n) for n in counts]
        outcome = occluder.run_hidden(ranks, spans, fill)
    fractions = torch.tensor(FRACTIONS, dtype=torch.float64)
    return Curve(fractions, outcome.predicted if score == "top1" else outcome.value)


@contextmanager
def occluding(
    trace: Trace | Occluder,
    variants: int,
    seed: int,
    max_batch: int | None,
    progress: ProgressLike,
) -> Iterator[Occluder]:
    """An occluder for a trace; one that is given has its own seed, batch size and progress."""
    if isinstance(trace, Occluder):
        yield trace
        return
    with reporting(progress) as report:
        yield Occluder(
            trace,
            seed=seed,
            max_batch=max_batch,
            progress=report,
            expected=variants * trace.batch_size,
        )


def _ranked(occluder: Occluder, maps: Attribution | Tensor, unit: Unit) -> tuple[Tensor, int]:
    """Ranks of the pixels [batch, height, width], and how many there are."""
    ranks = pixel_ranks(occluder.trace, checked_maps(occluder.trace, maps), unit, occluder.seed)
    return ranks, int(ranks.max()) + 1


def _shares(counts: list[int], total: int) -> Tensor:
    return torch.tensor(counts, dtype=torch.float64) / total


def checked_steps(steps: int) -> int:
    """``steps`` as an int of at least 1, or :class:`ParameterError`."""
    if isinstance(steps, bool) or not hasattr(steps, "__index__") or steps < 1:
        raise ParameterError(f"steps is {steps!r}: a curve needs at least 1 step, e.g. 20.")
    return int(steps)
