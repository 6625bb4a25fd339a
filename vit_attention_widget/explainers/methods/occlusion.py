"""Occlusion: what the target loses when patches are hidden (Zeiler and Fergus 2014)."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import SupportsIndex, TypeAlias

import torch
from torch import Tensor

from ...errors import ParameterError
from ...support.progress import ProgressLike, reporting
from ...tracing.run import check_logits
from ...tracing.trace import Trace
from ..attribution import Attribution
from ..variants import Baseline, baseline_inputs, in_batches, running_again

__all__ = ["Patches", "occlusion", "window_starts"]

Patches: TypeAlias = SupportsIndex | Sequence[SupportsIndex]
"""A number of patches, or one for rows and one for columns."""


def occlusion(
    trace: Trace,
    *,
    window: Patches = 1,
    stride: Patches = 1,
    baseline: Baseline = 0.0,
    max_batch: int | None = None,
    progress: ProgressLike = None,
) -> Attribution:
    r"""How far the target falls when a window of patches is hidden.

    :math:`E[n] = \mathrm{mean}_{w \ni n}\,\big(y(x) - y(x^{(w)})\big)` over the windows that cover
    patch n, with :math:`x^{(w)}` the image whose pixels in window w are those of the baseline
    (Zeiler and Fergus, ECCV 2014, section 4.2, arXiv 1311.2901). Exact: the model runs once for
    each window, and nothing is assumed about it.

    Parameters
    ----------
    trace : Trace
        Gradients are not needed.
    window : int or (int, int)
        Rows and columns of patches that are hidden together.
    stride : int or (int, int)
        From one window to the next, in patches, at most the window. The last window ends at the
        edge.
    baseline : float or Tensor
        What hidden pixels become, in the model's input: a number (0 is the mean color of the
        model's normalization), or inputs that broadcast to [image, channel, height, width].
    max_batch : int, optional
        At most so many images run at once; chosen from the free memory by default.
    progress : callable or bool, optional
        A function of (fraction, label), called before each batch, or True for a progress bar. The
        function may raise :class:`~vit_attention_widget.errors.JobCancelled` to stop.

    Returns
    -------
    Attribution
        ``values`` [image, layer, row, col], in the target's units (logits for a class), negative
        where hiding a patch raises the target. The map is of the whole model: the same after
        every layer.

    Raises
    ------
    ParameterError
        If an option is outside its range.

    Notes
    -----
    Masked heads stay masked. A patch of a ViT is one token, so with ``window=1`` one token's
    content is taken away; objects that are seen in many patches lose little with each. Larger
    windows show them. For a grid of 14 x 14 patches the model runs 196 times.

    Examples
    --------
    >>> import vit_attention_widget as vaw
    >>> trace = vaw.trace(vaw.demo.load_model(), vaw.demo.scene(seed=1).image)
    >>> vaw.explainers.occlusion(trace, window=4, stride=2).final.shape
    torch.Size([1, 10, 10])
    """
    tokens = trace.tokens
    sizes, strides = _pair("window", window), _pair("stride", stride)
    grid = tokens.rows, tokens.cols
    for size, step, length in zip(sizes, strides, grid, strict=True):
        if not 1 <= size <= length:
            raise ParameterError(
                f"window is {window!r}: the grid has {grid[0]} x {grid[1]} patches."
            )
        if not 1 <= step <= size:
            raise ParameterError(f"stride is {stride!r}: it is at least 1 and at most the window.")
    rows, cols = map(window_starts, grid, sizes, strides)
    windows = [(row, col) for row in rows for col in cols]
    hidden = baseline_inputs(trace, baseline)
    images, batch = trace.inputs.detach(), trace.batch_size
    patch_rows, patch_cols = (
        torch.tensor(each, device=images.device)
        for each in tokens.patches_of_pixels(*images.shape[-2:])
    )
    whole = trace.target.score(trace.logits).detach()
    dtype = torch.float64 if whole.dtype == torch.float64 else torch.float32
    total = torch.zeros(batch, *grid, dtype=dtype, device=whole.device)
    covered = torch.zeros(*grid, dtype=dtype, device=whole.device)

    def hide(row: int, col: int) -> Tensor:
        down = (patch_rows >= row) & (patch_rows < row + sizes[0])
        across = (patch_cols >= col) & (patch_cols < col + sizes[1])
        return torch.where(down[:, None] & across, hidden, images)

    def run(part: list[int]) -> None:
        logits = trace.model.forward(torch.cat([hide(*windows[i]) for i in part])).detach()
        check_logits(logits, trace.model, len(logits))
        for i, each in zip(part, logits.split(batch), strict=True):
            row, col = windows[i]
            fall = (whole - trace.target.score(each)).to(dtype)
            total[:, row : row + sizes[0], col : col + sizes[1]] += fall[:, None, None]
            covered[row : row + sizes[0], col : col + sizes[1]] += 1

    with reporting(progress) as report, running_again(trace, gradients=False):
        in_batches(trace, len(windows), run, max_batch, report, "hiding patches")
    return Attribution.of_whole_model(trace, total / covered, "occlusion")


def window_starts(length: int, window: int, stride: int) -> list[int]:
    """Where windows start on an axis: every ``stride``, and one that ends at the edge."""
    starts = list(range(0, length - window + 1, stride))
    return starts if starts[-1] == length - window else [*starts, length - window]


def _pair(name: str, value: Patches) -> tuple[int, int]:
    pair = [value, value] if hasattr(value, "__index__") else value
    try:
        rows, cols = map(operator.index, pair)
    except (TypeError, ValueError):
        raise ParameterError(
            f"{name} is {value!r}: give an integer, or one each for rows and columns."
        ) from None
    return rows, cols
