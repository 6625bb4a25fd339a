"""Integrated gradients of the input pixels (Sundararajan, Taly and Yan 2017)."""

from __future__ import annotations

import operator
from typing import SupportsIndex

import torch
from torch import Tensor

from ...errors import ParameterError
from ...support.progress import ProgressLike, part_of, reporting
from ...support.warn import warn_caller
from ...tracing.trace import Trace
from ...tracing.whole_graph import check_whole, differentiate
from ..attribution import Attribution
from ..places_on_the_way import pilot_places, places_and_shares
from ..variants import Baseline, baseline_inputs, in_batches, running_again

__all__ = ["integrated_gradients"]

_GAP = 0.05
"""A share of the target's change above which a sum that misses it is warned of."""


def integrated_gradients(
    trace: Trace,
    *,
    steps: SupportsIndex = 32,
    baseline: Baseline = 0.0,
    max_batch: int | None = None,
    progress: ProgressLike = None,
) -> Attribution:
    r"""The change of the target from a baseline to the image, shared out among the patches.

    :math:`E[n] = \sum_{i \in n} (x_i - x'_i) \int_0^1 \partial y\big(x' + a (x - x')\big) /
    \partial x_i \, da` over the pixels and channels of patch n, with the baseline :math:`x'`
    (Sundararajan, Taly and Yan, ICML 2017, equation 1, arXiv 1703.01365).

    The map is complete: its values sum to :math:`y(x) - y(x')`, but for the error of the integral.

    Parameters
    ----------
    trace : Trace
    steps : int
        Places on the way from the baseline to the image where gradients are taken. 17 passes
        without gradients come before them, to put them where the target changes.
    baseline : float or Tensor
        In the model's input: a number (0 is the mean color of the model's normalization), or
        inputs that broadcast to [image, channel, height, width].
    max_batch : int, optional
        At most so many images run at once; chosen from the free memory by default.
    progress : callable or bool, optional
        A function of (fraction, label), called before each batch, or True for a progress bar. The
        function may raise :class:`~vit_attention_widget.errors.JobCancelled` to stop.

    Returns
    -------
    Attribution
        ``values`` [image, layer, row, col], in the target's units (logits for a class), of either
        sign. The map is of the whole model: the same after every layer.

    Raises
    ------
    ParameterError
        If an option is outside its range.
    CaptureError
        If parts of the model pass no gradient.

    Warns
    -----
    UserWarning
        If the values miss the change of the target by more than 5 %: take more steps.

    Notes
    -----
    Gradients are taken with respect to the input's pixels, not to the patch embeddings: every model
    has pixels, the baseline is a picture that one can look at, and what the patch embedding's bias
    and the positions add counts as part of the model, not of the image. Masked heads stay masked.

    The integrand is far from even: norms take contrast out, so that on a trained ViT-Tiny nine
    tenths of a class's logit come within the first 6 % of the way from the mean color. Quadrature
    of the whole way missed the change of three photographs by 3 to 43 % with 32 steps. So the way
    is cut into parts in which the target changes alike: on 13 photographs 32 steps miss it by 1 to
    11 %, 3 % in the median, and 64 steps by 3 % at most (``benchmarks/completeness.py``).

    Examples
    --------
    >>> import vit_attention_widget as vaw
    >>> trace = vaw.trace(vaw.demo.load_model(), vaw.demo.scene(seed=1).image)
    >>> maps = vaw.explainers.integrated_gradients(trace)
    >>> maps.final.shape
    torch.Size([1, 10, 10])
    """
    count = operator.index(steps) if hasattr(steps, "__index__") else 0
    if count < 1:
        raise ParameterError(f"steps is {steps!r}: it is an integer of at least 1.")
    check_whole(trace.forward_pass)
    start, images, batch = baseline_inputs(trace, baseline), trace.inputs.detach(), trace.batch_size
    way = images - start
    dtype = torch.float64 if images.dtype == torch.float64 else torch.float32
    mean = torch.zeros_like(images, dtype=dtype)
    scores = torch.zeros(len(pilot_places()), batch, dtype=torch.float64)

    def between(places: Tensor) -> Tensor:
        """Inputs at places [place, image] on the way, one place after the other."""
        return (start + places.to(way)[:, :, None, None, None] * way).flatten(0, 1)

    def score(inputs: Tensor) -> Tensor:
        of_places = trace.model.forward(inputs).split(batch)
        return torch.stack([trace.target.score(logits) for logits in of_places])

    def look(part: list[int]) -> None:
        places = torch.tensor([pilot_places()[i] for i in part], dtype=torch.float64)
        scores[part] = score(between(places[:, None].expand(-1, batch))).double().cpu()

    def run(part: list[int]) -> None:
        inputs = between(places[part]).requires_grad_()
        (gradient,) = differentiate(trace.forward_pass, score(inputs).sum(), [inputs])
        of_each = gradient.unflatten(0, (len(part), batch)).to(dtype)
        mean.add_((of_each * shares[part].to(of_each)[:, :, None, None, None]).sum(0))

    with reporting(progress) as report:
        with running_again(trace, gradients=False):
            ahead = part_of(report, 0.0, 0.15)
            in_batches(trace, len(scores), look, max_batch, ahead, "looking along the way")
        places, shares = places_and_shares(scores, count)
        with running_again(trace, gradients=True):
            rest = part_of(report, 0.15, 1.0)
            in_batches(trace, count, run, max_batch, rest, "integrating gradients")
    pixels = way.to(dtype) * mean
    _warn_if_incomplete(pixels, scores[-1] - scores[0])
    return Attribution.of_whole_model(trace, _by_patch(trace, pixels), "integrated_gradients")


def _by_patch(trace: Trace, pixels: Tensor) -> Tensor:
    """Sums over the pixels and channels of each patch, [image, row, col].

    Pixels beyond the outermost patches, which the model leaves out or patches share, go with these.
    """
    tokens, summed = trace.tokens, pixels.sum(1)
    rows, cols = (
        torch.tensor(each, device=pixels.device)
        for each in tokens.patches_of_pixels(*pixels.shape[-2:])
    )
    images, _, width = summed.shape
    by_row = summed.new_zeros(images, tokens.rows, width).index_add_(1, rows, summed)
    by_patch = summed.new_zeros(images, tokens.rows, tokens.cols)
    return by_patch.index_add_(2, cols, by_row)


def _warn_if_incomplete(pixels: Tensor, change: Tensor) -> None:
    change = change.to(pixels)
    gap = pixels.flatten(1).sum(1) - change
    share = (gap.abs() / change.abs().clamp_min(1e-12)).max()
    if not share <= _GAP:
        warn_caller(
            f"The values of integrated_gradients miss the target's change by {float(share):.0%}: "
            "take more steps=, or a baseline from which the target changes more.",
            UserWarning,
        )
