"""Does the decision depend on what a map marks? Hide it, or show nothing else, and see."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..errors import ParameterError
from ..explainers import Attribution
from ..support.progress import Progress
from ..tracing.trace import Trace
from .fill import Fill
from .maps import checked_maps, min_max, pixel_ranks, to_pixels
from .occlusion import Perturbed, Span

__all__ = [
    "Curve",
    "average_drop",
    "deletion",
    "increase",
    "insertion",
    "negative_perturbation",
    "positive_perturbation",
]

FRACTIONS = tuple(k / 10 for k in range(1, 10))
"""Chefer et al. hide 10 %, 20 %, ... 90 %."""


@dataclass(frozen=True)
class Curve:
    """What the model says as ever more of the pictures is hidden or shown.

    Attributes
    ----------
    fractions : Tensor
        [point], the share of the patches that is hidden (or, for insertion, shown).
    values : Tensor
        [batch, point].
    """

    fractions: Tensor
    values: Tensor

    @property
    def area(self) -> Tensor:
        """[batch], the mean height of each curve, by trapezoids: in [0, 1] for probabilities."""
        width = self.fractions[-1] - self.fractions[0]
        return torch.trapezoid(self.values, self.fractions, dim=1) / width


def deletion(
    trace: Trace | Perturbed,
    maps: Attribution | Tensor,
    *,
    fill: Fill = "zero",
    steps: int = 20,
    unit: str = "patch",
    seed: int = 0,
    max_batch: int | None = None,
    progress: Progress | None = None,
) -> Curve:
    r"""Probability of the class as the most relevant patches go first (RISE: Petsiuk et al. 2018).

    With :math:`x_k` the picture whose :math:`n_k = \mathrm{round}(k P / K)` most relevant of P
    patches are filled, the values are :math:`p(c \mid x_k)`, k = 0 ... K; the area is
    :math:`\frac{1}{K} \sum_{k=1}^{K} \frac{p_{k-1} + p_k}{2}` for equal steps. Lower is better.

    Parameters
    ----------
    trace : Trace
        Its images, target and masked heads. Where the target is not a class, its own value
        takes the probability's place, and the area has its range.
    maps : Attribution or Tensor
        [batch, row, col]; of an attribution the final map.
    fill : str or callable
        What hidden patches become: see :func:`~.fill.filled`.
    steps : int
        K; a cost of K - 1 forward passes an image, and two that serve all maps of a trace.
    unit : {"patch", "pixel"}
        What is hidden one after the other. Whole patches are ours: what a Vision Transformer
        reads. ``"pixel"`` orders the pixels of the upsampled map, as RISE does.
    seed : int
        Of the order of equal values and of noise.
    max_batch : int, optional
        At most so many images run at once; chosen from the free memory by default.
    progress : callable, optional
        Called with (fraction, label); it may raise
        :class:`~vit_attention_widget.errors.JobCancelled`.

    Returns
    -------
    Curve
        ``.values`` [batch, K + 1] and ``.area`` [batch], both in [0, 1].

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
    held = _perturbed(trace, seed, max_batch, progress, steps + 1)
    ranks = pixel_ranks(held.trace, checked_maps(held.trace, maps), unit, held.seed)
    total = int(ranks.max()) + 1
    counts = [round(k * total / steps) for k in range(steps + 1)]
    values = held.hidden(ranks, [(0, n) for n in counts], fill).value
    return Curve(_shares(counts, total), values)


def insertion(
    trace: Trace | Perturbed,
    maps: Attribution | Tensor,
    *,
    fill: Fill = "blur",
    steps: int = 20,
    unit: str = "patch",
    seed: int = 0,
    max_batch: int | None = None,
    progress: Progress | None = None,
) -> Curve:
    """Probability of the class as the most relevant patches come first (RISE).

    As :func:`deletion`, but it begins with the fill alone, and patches of the picture take its
    place. Higher is better. How good a map can be depends on the fill: compare under one.
    """
    steps = checked_steps(steps)
    held = _perturbed(trace, seed, max_batch, progress, steps + 1)
    ranks = pixel_ranks(held.trace, checked_maps(held.trace, maps), unit, held.seed)
    total = int(ranks.max()) + 1
    counts = [round(k * total / steps) for k in range(steps + 1)]
    values = held.hidden(ranks, [(n, total) for n in counts], fill).value
    return Curve(_shares(counts, total), values)


def positive_perturbation(
    trace: Trace | Perturbed,
    maps: Attribution | Tensor,
    *,
    fill: Fill = "black",
    score: str = "first",
    unit: str = "patch",
    seed: int = 0,
    max_batch: int | None = None,
    progress: Progress | None = None,
) -> Curve:
    r"""Whether the class still comes first as the most relevant patches go (Chefer et al. 2021).

    The :math:`\lfloor f P \rfloor` most relevant of P patches are filled, f = 0.1, 0.2, ... 0.9;
    the value is :math:`[\arg\max_c p(c \mid x_f) = \mathrm{target}]`, whose mean over images is
    the accuracy that Chefer et al. draw, and LeGrad's paper after them (its evaluation is not
    among its published code). Lower is better. How the nine values become an area is not in
    Chefer's code either; here it is the mean height by trapezoids (ours), which for one image is
    near the share of fractions at which its class survives.

    It is deletion with another fill, over 10 to 90 %, and with the decision instead of the
    probability.

    Parameters
    ----------
    score : {"first", "probability"}
        ``"first"``: 1 while the class comes first. Where the target is not a class, its own value
        is taken in either case.
    unit : {"patch", "pixel"}
        Whole patches are ours; ``"pixel"`` is what Chefer et al. hide.

    The others are those of :func:`deletion`.

    Returns
    -------
    Curve
        ``.values`` [batch, 9] and ``.area`` [batch], in [0, 1].
    """
    return _perturbation(trace, maps, False, fill, score, unit, seed, max_batch, progress)


def negative_perturbation(
    trace: Trace | Perturbed,
    maps: Attribution | Tensor,
    *,
    fill: Fill = "black",
    score: str = "first",
    unit: str = "patch",
    seed: int = 0,
    max_batch: int | None = None,
    progress: Progress | None = None,
) -> Curve:
    """Whether the class still comes first as the least relevant patches go (Chefer et al. 2021).

    As :func:`positive_perturbation`, from the other end. Higher is better. With one fill it is
    insertion read backwards.
    """
    return _perturbation(trace, maps, True, fill, score, unit, seed, max_batch, progress)


def average_drop(
    trace: Trace | Perturbed,
    maps: Attribution | Tensor,
    *,
    fill: Fill = "zero",
    max_batch: int | None = None,
    progress: Progress | None = None,
) -> Tensor:
    r"""Share of the probability that is lost where only what the map marks is seen.

    :math:`\max(0, Y - O) / Y` (Grad-CAM++: Chattopadhay et al. 2018, there times 100 and averaged
    over images), Y the probability of the class and O that of
    :math:`m x + (1 - m) \cdot \mathrm{fill}`, m the map at pixels, from 0 at its least to 1 at
    its most. Lower is better; maps that mark much are favoured. A constant map shows nothing
    (ours).

    Parameters
    ----------
    fill : str or callable
        ``"zero"`` multiplies the model's input by the map, as pytorch-grad-cam does; ``"black"``
        multiplies the picture, as Grad-CAM++ does.

    The others are those of :func:`deletion`.

    Returns
    -------
    Tensor
        [batch], in [0, 1]; NaN where Y is not above 0, which happens for targets that are no
        class.
    """
    held = _perturbed(trace, 0, max_batch, progress, 2)
    whole, shown = held.whole().value[:, 0], _shown(held, maps, fill)
    drop = ((whole - shown) / whole).clamp_min(0)
    return torch.where(whole > 0, drop, torch.nan)


def increase(
    trace: Trace | Perturbed,
    maps: Attribution | Tensor,
    *,
    fill: Fill = "zero",
    max_batch: int | None = None,
    progress: Progress | None = None,
) -> Tensor:
    """1 where the probability rises when only what the map marks is seen, else 0 (Grad-CAM++).

    Y < O in the words of :func:`average_drop`; its mean over images is the share of them. Higher
    is better.
    """
    held = _perturbed(trace, 0, max_batch, progress, 2)
    return (_shown(held, maps, fill) > held.whole().value[:, 0]).double()


def _shown(held: Perturbed, maps: Attribution | Tensor, fill: Fill) -> Tensor:
    """The value of each picture seen through its map, [batch]."""
    grid = checked_maps(held.trace, maps)
    inputs, nothing = held.trace.inputs, held.fill(fill)
    share = min_max(to_pixels(held.trace, grid))[:, None].to(inputs)
    return held.run(1, lambda i, _: nothing[i] + share[i] * (inputs[i] - nothing[i])).value[:, 0]


def _perturbation(
    trace: Trace | Perturbed,
    maps: Attribution | Tensor,
    least_first: bool,
    fill: Fill,
    score: str,
    unit: str,
    seed: int,
    max_batch: int | None,
    progress: Progress | None,
) -> Curve:
    if score not in ("first", "probability"):
        raise ParameterError(f"The score is {score!r}: choose 'first' or 'probability'.")
    held = _perturbed(trace, seed, max_batch, progress, len(FRACTIONS))
    ranks = pixel_ranks(held.trace, checked_maps(held.trace, maps), unit, held.seed)
    total = int(ranks.max()) + 1
    counts = [int(total * k / 10) for k in range(1, 10)]
    spans: list[Span] = [(total - n, total) if least_first else (0, n) for n in counts]
    found = held.hidden(ranks, spans, fill)
    return Curve(
        torch.tensor(FRACTIONS, dtype=torch.float64),
        found.first if score == "first" else found.value,
    )


def _perturbed(
    trace: Trace | Perturbed,
    seed: int,
    max_batch: int | None,
    progress: Progress | None,
    variants: int,
) -> Perturbed:
    """What was given, or one of its own; what was given knows its seed, batch and progress."""
    if isinstance(trace, Perturbed):
        return trace
    return Perturbed(
        trace,
        seed=seed,
        max_batch=max_batch,
        progress=progress,
        expected=variants * trace.batch_size,
    )


def _shares(counts: list[int], total: int) -> Tensor:
    return torch.tensor(counts, dtype=torch.float64) / total


def checked_steps(steps: int) -> int:
    """``steps`` as an int of at least 1, or :class:`ParameterError`."""
    if isinstance(steps, bool) or not hasattr(steps, "__index__") or steps < 1:
        raise ParameterError(f"steps is {steps!r}: a curve needs at least 1 step, e.g. 20.")
    return int(steps)
