"""How sure a mean over images is."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ..errors import ParameterError

__all__ = ["bootstrap"]

RESAMPLES = 2000
_AT_ONCE = 4_000_000


def bootstrap(values: Tensor, level: float = 0.95, seed: int = 0) -> tuple[float, float]:
    """Percentile bootstrap interval of the mean of [image] values; NaN are left out.

    2,000 resamples of the images with replacement (Efron 1979), whose generator is its own: values
    of the same number of images meet the same resamples. It makes no assumption about how values
    are spread, which shares of 0 and 1 need; below some 20 images it is too narrow.

    Returns
    -------
    tuple of float
        Lower and upper end; NaN for fewer than two images.

    Raises
    ------
    ParameterError
        If ``level`` is not between 0 and 1.
    """
    if not 0 < level < 1:
        raise ParameterError(f"level is {level}: it lies between 0 and 1, e.g. 0.95.")
    known: NDArray[np.float64] = values.double().cpu().numpy()
    known = known[~np.isnan(known)]
    if len(known) < 2:
        return float("nan"), float("nan")
    rng = np.random.default_rng(seed)
    size = max(1, _AT_ONCE // len(known))
    means: list[NDArray[np.float64]] = []
    for start in range(0, RESAMPLES, size):
        drawn = rng.integers(len(known), size=(min(size, RESAMPLES - start), len(known)))
        means.append(known[drawn].mean(1))
    low, high = np.quantile(np.concatenate(means), [0.5 - level / 2, 0.5 + level / 2])
    return float(low), float(high)
