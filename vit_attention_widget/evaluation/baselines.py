"""Maps that know nothing of the model: what a method must beat before it says anything."""

from __future__ import annotations

import torch
from torch import Tensor

from ..errors import ParameterError
from ..explainers import Attribution
from ..tracing.trace import Trace

__all__ = ["BASELINES", "OLD_NAMES", "center", "random"]

BASELINES = ("center", "random")
"""Always evaluated beside the methods."""

OLD_NAMES = {"centre": "center"}


def center(trace: Trace, *, sigma: float = 0.25) -> Attribution:
    r"""A Gaussian at the center of the picture, the same for every image.

    :math:`\exp\big(-\frac{1}{2\sigma^2}(u^2 + v^2)\big)`, u and v the distance of a patch's middle
    from the center in heights and widths of the picture. Photographers put what they mean in the
    middle: on many sets this beats every method.

    Parameters
    ----------
    trace : Trace
    sigma : float
        In heights and widths of the picture, above 0.

    Examples
    --------
    >>> import vit_attention_widget as vaw
    >>> trace = vaw.trace(vaw.demo.load_model(), vaw.demo.scene(seed=1).image)
    >>> vaw.evaluation.center(trace).final.shape
    torch.Size([1, 10, 10])
    """
    if not sigma > 0:
        raise ParameterError(f"sigma is {sigma}: the width of the Gaussian is above 0.")
    rows, cols = trace.tokens.rows, trace.tokens.cols
    u, v = (  # in this form exactly symmetrical
        (2 * torch.arange(n, dtype=torch.float64) + 1 - n) / (2 * n) for n in (rows, cols)
    )
    grid = torch.exp(-(u[:, None] ** 2 + v**2) / (2 * sigma**2))
    return _everywhere(trace, grid.expand(trace.batch_size, rows, cols), "center")


def random(trace: Trace, *, seed: int = 0) -> Attribution:
    """Uniform random values, another map for each image.

    Parameters
    ----------
    trace : Trace
    seed : int
        Image i takes seed + i; no other random numbers are touched.
    """
    grids = []
    for index in range(trace.batch_size):
        generator = torch.Generator().manual_seed(seed + index)
        shape = trace.tokens.rows, trace.tokens.cols
        grids.append(torch.rand(shape, generator=generator, dtype=torch.float64))
    return _everywhere(trace, torch.stack(grids), "random")


def _everywhere(trace: Trace, grids: Tensor, method: str) -> Attribution:
    """The same map after every layer."""
    dtype = torch.float64 if trace.inputs.dtype == torch.float64 else torch.float32
    values = grids.to(dtype).to(trace.inputs.device)[:, None].repeat(1, trace.num_layers, 1, 1)
    return Attribution(values, method)
