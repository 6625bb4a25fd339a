"""Maps that do not depend on the model: a method must beat them before it shows anything."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from ..errors import ParameterError
from ..explainers import Attribution
from ..explainers.by_name import Explainer, MethodsLike, explainers_by_name
from ..support.deprecation import renamed_choice
from ..tracing.trace import Trace

__all__ = ["BASELINES", "OLD_NAMES", "center", "methods_without_baselines", "random"]

BASELINES = ("center", "random")
"""Always evaluated beside the methods."""

OLD_NAMES = {"centre": "center"}


def center(trace: Trace, *, sigma: float = 0.25) -> Attribution:
    r"""A Gaussian at the center of the image, the same for every image.

    :math:`\exp\big(-\frac{1}{2\sigma^2}(u^2 + v^2)\big)`, where u and v are the distances of a
    patch's center from the image's, in image heights and widths. Photographers put their subject
    in the middle: on many data sets this map beats every method.

    Parameters
    ----------
    trace : Trace
    sigma : float
        In image heights and widths, above 0.

    Raises
    ------
    ParameterError
        If ``sigma`` is not above 0.

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
    top, left, bottom, right = trace.tokens.area
    u, v = (  # in this form exactly symmetric where the patches cover the image
        (start + end - 1) / 2
        + (end - start) * (2 * torch.arange(n, dtype=torch.float64) + 1 - n) / (2 * n)
        for n, start, end in ((rows, top, bottom), (cols, left, right))
    )
    grid = torch.exp(-(u[:, None] ** 2 + v**2) / (2 * sigma**2))
    return _for_every_layer(trace, grid.expand(trace.batch_size, rows, cols), "center")


def random(trace: Trace, *, seed: int = 0) -> Attribution:
    """Uniform random values, another map for each image.

    Parameters
    ----------
    trace : Trace
    seed : int
        Image i is drawn with seed + i; the global random state is not touched.
    """
    grids = []
    for index in range(trace.batch_size):
        generator = torch.Generator().manual_seed(seed + index)
        shape = trace.tokens.rows, trace.tokens.cols
        grids.append(torch.rand(shape, generator=generator, dtype=torch.float64))
    return _for_every_layer(trace, torch.stack(grids), "random")


def methods_without_baselines(methods: MethodsLike | None) -> dict[str, Explainer]:
    """Methods by name, without the baselines, which are always evaluated.

    Raises
    ------
    ParameterError
        If there is no such explainer, or a function has the name of a baseline.
    """
    if isinstance(methods, str):
        methods = [methods]
    if methods is not None and not isinstance(methods, Mapping):
        names = [renamed_choice("methods", name, OLD_NAMES) for name in methods]
        methods = [name for name in dict.fromkeys(names) if name not in BASELINES]
    if methods is not None and not methods:
        return {}
    explainers = explainers_by_name(methods)
    taken = [name for name in explainers if name in BASELINES]
    if taken:
        raise ParameterError(f"{taken[0]!r} is the name of a baseline: name the method otherwise.")
    return explainers


def _for_every_layer(trace: Trace, grids: Tensor, method: str) -> Attribution:
    """The same map after every layer."""
    dtype = torch.float64 if trace.inputs.dtype == torch.float64 else torch.float32
    values = grids.to(dtype).to(trace.inputs.device)[:, None].repeat(1, trace.num_layers, 1, 1)
    return Attribution(values, method, class_agnostic=True, area=trace.tokens.area)
