"""Confidence intervals of means and shares of images."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ..errors import ParameterError

__all__ = ["bootstrap_interval", "normal_interval", "wilson_interval"]

_RESAMPLES = 2000
_VALUES_AT_ONCE = 4_000_000


def normal_interval(values: Tensor, level: float = 0.95) -> tuple[Tensor, Tensor]:
    """Interval of the mean of values [image, ...] by the normal approximation, low and high [...].

    Trust it from some 30 images on; NaN values are ignored. NaN where there is a single one.

    Raises
    ------
    ParameterError
        If ``level`` is not between 0 and 1.
    """
    _check(level)
    count, mean = (~values.isnan()).sum(0), values.nanmean(0)
    variance = (values - mean).square().nansum(0) / (count - 1).clamp_min(0)
    half = NormalDist().inv_cdf(0.5 + level / 2) * (variance / count).sqrt()
    return mean - half, mean + half


def bootstrap_interval(values: Tensor, level: float = 0.95, seed: int = 0) -> tuple[float, float]:
    """Percentile bootstrap interval of the mean of values [image]; NaN values are ignored.

    The images are resampled 2,000 times with replacement (Efron 1979), by a generator of its own:
    two sets of values over the same number of images see the same resamples. No assumption is made
    about the distribution of the values, which matters for values that are 0 or 1. With fewer than
    some 20 images the interval is too narrow.

    Returns
    -------
    tuple of float
        Lower and upper end; NaN for fewer than two images.

    Raises
    ------
    ParameterError
        If ``level`` is not between 0 and 1.
    """
    _check(level)
    finite: NDArray[np.float64] = values.double().cpu().numpy()
    finite = finite[~np.isnan(finite)]
    if len(finite) < 2:
        return float("nan"), float("nan")
    rng = np.random.default_rng(seed)
    size = max(1, _VALUES_AT_ONCE // len(finite))
    means: list[NDArray[np.float64]] = []
    for start in range(0, _RESAMPLES, size):
        drawn = rng.integers(len(finite), size=(min(size, _RESAMPLES - start), len(finite)))
        means.append(finite[drawn].mean(1))
    low, high = np.quantile(np.concatenate(means), [0.5 - level / 2, 0.5 + level / 2])
    return float(low), float(high)


def wilson_interval(right: float, count: int, level: float = 0.95) -> tuple[float, float]:
    r"""Wilson's score interval of a share of images, ``right`` of ``count``.

    With p = right / count, n = count and z the normal quantile of the level (Wilson 1927, JASA 22;
    Brown, Cai and DasGupta 2001, Statistical Science 16, recommend it for few images and for shares
    near 0 or 1):

    .. math:: \frac{p + z^2 / 2n \pm z \sqrt{p (1 - p) / n + z^2 / 4n^2}}{1 + z^2 / n}

    Returns
    -------
    tuple of float
        Lower and upper end, in [0, 1]; NaN of no images.

    Raises
    ------
    ParameterError
        If ``level`` is not between 0 and 1.
    """
    _check(level)
    if not count:
        return float("nan"), float("nan")
    z, share = NormalDist().inv_cdf(0.5 + level / 2), right / count
    middle = share + z * z / (2 * count)
    half = z * (share * (1 - share) / count + z * z / (4 * count * count)) ** 0.5
    whole = 1 + z * z / count
    return max(0.0, (middle - half) / whole), min(1.0, (middle + half) / whole)


def _check(level: float) -> None:
    if not 0 < level < 1:
        raise ParameterError(f"level is {level}: it lies between 0 and 1, e.g. 0.95.")
