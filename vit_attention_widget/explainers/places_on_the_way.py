"""Where on the way from a baseline to an image gradients are taken.

A transformer's norms take contrast out, so most of what changes on that way changes in its first
tenth: an image of a twentieth of the contrast is recognized like the image itself. Places that
are spread evenly miss that. Here they are close where the target changes fast.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

__all__ = ["pilot_places", "places_and_shares"]

_PARTS = 16
_POWER = 2
_EVENLY = 0.1
"""So much of the places is spread evenly, whatever the target does."""
_PER_PART = 4
_MOST_PARTS = 8


def pilot_places() -> list[float]:
    """Where the target is looked at to find the places: from 0 to 1, closest near the baseline."""
    return [(i / _PARTS) ** _POWER for i in range(_PARTS + 1)]


def places_and_shares(scores: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Places of each image, and the share of the integral that each stands for.

    The way is cut into parts in each of which the target changes as much as in the others, by the
    roots of its changes between the places of :func:`pilot_places`. In each part places are those
    of Gauss-Legendre quadrature.

    Parameters
    ----------
    scores : Tensor
        The target at the pilot places, [place, image].
    count : int
        How many places to choose.

    Returns
    -------
    places, shares : Tensor
        [place, image], float64; shares sum to 1.
    """
    parts = max(1, min(_MOST_PARTS, count // _PER_PART))
    counts = [count // parts + (part < count % parts) for part in range(parts)]
    of_images = [_of_image(image, counts) for image in scores.double().cpu().numpy().T]
    places, shares = (torch.from_numpy(np.stack(each, 1)) for each in zip(*of_images, strict=True))
    return places, shares


def _of_image(scores: np.ndarray, counts: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    pilot = np.array(pilot_places())
    changes = np.sqrt(np.abs(np.diff(scores)))
    share = changes / changes.sum() if changes.any() else np.zeros(_PARTS)
    passed = np.concatenate([[0], np.cumsum(share + _EVENLY / _PARTS)])
    edges = np.interp(np.linspace(0, passed[-1], len(counts) + 1), passed, pilot)
    places, shares = [], []
    for start, end, count in zip(edges[:-1], edges[1:], counts, strict=True):
        points, weights = np.polynomial.legendre.leggauss(count)
        places.append(start + (end - start) * (points + 1) / 2)
        shares.append((end - start) * weights / 2)
    return np.concatenate(places), np.concatenate(shares)
