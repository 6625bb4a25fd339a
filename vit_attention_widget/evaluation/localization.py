"""Does a map lie on the object? Maps and masks at pixels, [batch, height, width].

Where a mask is empty there is nothing to localize, and values are NaN. All metrics are invariant
under increasing linear functions of a map.
"""

from __future__ import annotations

from typing import Literal, TypeAlias, get_args

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from ..errors import ParameterError
from .maps import min_max

__all__ = ["Threshold", "average_precision", "energy_inside", "iou", "pointing_game"]

Threshold: TypeAlias = Literal["mean", "best"]


def pointing_game(
    maps: Tensor, masks: Tensor, counted: Tensor | None = None, *, tolerance: int = 0
) -> Tensor:
    """Whether the maximum lies on the object (Zhang et al. 2018, "Excitation Backprop").

    Where several pixels share the maximum it is the share of them that lie on the object (ours), so
    that a constant map scores the object's share of the image, as chance does.

    Parameters
    ----------
    maps : Tensor
        [batch, height, width].
    masks : Tensor
        [batch, height, width] bool, True on the object.
    counted : Tensor, optional
        [batch, height, width] bool: pixels that count, such as all but a border.
    tolerance : int
        A maximum within so many pixels of the object is a hit too. The source allows 15, for
        bounding boxes; segmentation masks need none.

    Returns
    -------
    Tensor
        [batch], in [0, 1]; higher is better.

    Raises
    ------
    ParameterError
        If the shapes differ, a map is not finite or a mask is not bool.

    Examples
    --------
    >>> import torch, vit_attention_widget as vaw
    >>> mask = torch.tensor([[[True, True], [False, False]]])
    >>> vaw.evaluation.pointing_game(torch.tensor([[[0.1, 0.9], [0.2, 0.3]]]), mask).item()
    1.0
    """
    maps, masks, counted = _checked(maps, masks, counted)
    near = _dilated(masks, tolerance)
    top = torch.where(counted, maps, -torch.inf).flatten(1).amax(1)[:, None, None]
    maxima = (maps == top) & counted
    hits = (maxima & near).flatten(1).double().sum(1) / maxima.flatten(1).sum(1)
    return _nan_without_object(hits, masks)


def energy_inside(maps: Tensor, masks: Tensor, counted: Tensor | None = None) -> Tensor:
    r"""Share of the map that lies on the object: the energy-based pointing game.

    :math:`\sum_{object} m / \sum m` (Score-CAM: Wang et al. 2020), with m the map scaled from 0 at
    its minimum to 1 at its maximum, as in the authors' code. A constant map scores the object's
    share of the image (ours).

    Parameters, returns and errors are those of :func:`pointing_game`.
    """
    maps, masks, counted = _checked(maps, masks, counted)
    scaled = _scaled(maps, counted)
    inside = (scaled * masks).flatten(1).sum(1)
    total = scaled.flatten(1).sum(1)
    return _nan_without_object(inside / total, masks)


def iou(
    maps: Tensor,
    masks: Tensor,
    counted: Tensor | None = None,
    *,
    threshold: Threshold = "mean",
) -> Tensor:
    r"""Overlap of the thresholded map M with the object O: :math:`|M \cap O| / |M \cup O|`.

    The other parameters, returns and errors are those of :func:`pointing_game`.

    Parameters
    ----------
    threshold : {"mean", "best"}
        ``"mean"``: M is where the map exceeds its mean, which is how Chefer et al. (2021) segment;
        a constant map marks nothing and scores 0. ``"best"``: the largest overlap over all
        thresholds (M is where the map is at least t), an upper bound that cannot be reached
        without knowing the mask.
    """
    if threshold not in get_args(Threshold):
        raise ParameterError(f"The threshold is {threshold!r}: choose 'mean' or 'best'.")
    maps, masks, counted = _checked(maps, masks, counted)
    if threshold == "mean":
        mean = maps.masked_fill(~counted, 0).flatten(1).sum(1) / counted.flatten(1).sum(1)
        least = torch.where(counted, maps, torch.inf).flatten(1).amin(1)
        top = torch.where(counted, maps, -torch.inf).flatten(1).amax(1)
        above = (maps > mean[:, None, None]) & (top > least)[:, None, None]  # the mean is rounded
        marked = above & counted
        union = (marked | masks).flatten(1).sum(1)
        overlap = (marked & masks).flatten(1).double().sum(1) / union
        return _nan_without_object(overlap, masks)
    best = [
        (hits / (size + false_alarms)).max()
        for hits, false_alarms, size in _by_threshold(maps, masks, counted)
    ]
    return _nan_without_object(torch.stack(best), masks)


def average_precision(maps: Tensor, masks: Tensor, counted: Tensor | None = None) -> Tensor:
    r"""Area under the precision-recall curve of the pixels, the map being their score.

    :math:`\sum_n (R_n - R_{n-1}) P_n` over the distinct values of the map, from the highest down,
    as scikit-learn's ``average_precision_score``. Chefer et al. (2021) report it as mAP, over
    object and background. A constant map scores the object's share of the image.

    Parameters, returns and errors are those of :func:`pointing_game`.
    """
    maps, masks, counted = _checked(maps, masks, counted)
    areas = []
    for hits, false_alarms, size in _by_threshold(maps, masks, counted):
        precision = hits / (hits + false_alarms)
        gained_recall = torch.diff(hits, prepend=hits.new_zeros(1)) / size
        areas.append((gained_recall * precision).sum())
    return _nan_without_object(torch.stack(areas), masks)


def _by_threshold(
    maps: Tensor, masks: Tensor, counted: Tensor
) -> list[tuple[Tensor, Tensor, Tensor]]:
    """For each image: pixels on and off the object at or above each distinct value; its size."""
    by_image = []
    for heat, mask, counts in zip(maps, masks, counted, strict=True):
        values, order = heat[counts].sort(descending=True)
        on_object = mask[counts][order].double()
        last = torch.ones_like(values, dtype=torch.bool)
        last[:-1] = values[1:] != values[:-1]  # equal values are one threshold
        hits, false_alarms = on_object.cumsum(0)[last], (1 - on_object).cumsum(0)[last]
        by_image.append((hits, false_alarms, on_object.sum()))
    return by_image


def _scaled(maps: Tensor, counted: Tensor) -> Tensor:
    """From 0 to 1 over the pixels that count, 0 on the others; constant maps are 1."""
    least = torch.where(counted, maps, torch.inf).flatten(1).amin(1)[:, None, None]
    scaled = min_max(torch.where(counted, maps, least))
    flat = scaled.flatten(1).amax(1) == 0
    return torch.where(flat[:, None, None], 1.0, scaled) * counted


def _dilated(masks: Tensor, radius: int) -> Tensor:
    """Masks with all pixels within ``radius`` of them."""
    if radius < 0:
        raise ParameterError(f"The tolerance is {radius} pixels: it is at least 0.")
    if radius == 0:
        return masks
    height, dilated = masks.shape[1], masks.clone()
    for down in range(-min(radius, height - 1), min(radius, height - 1) + 1):
        across = int((radius**2 - down**2) ** 0.5)
        wide = F.max_pool1d(masks.float(), 2 * across + 1, 1, across) > 0
        start, stop = max(0, down), height + min(0, down)
        dilated[:, start:stop] |= wide[:, start - down : stop - down]
    return dilated


def _nan_without_object(values: Tensor, masks: Tensor) -> Tensor:
    """NaN where there is no object to be found."""
    return torch.where(masks.flatten(1).any(1), values.double(), torch.nan)


def _checked(maps: Tensor, masks: Tensor, counted: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    counted = torch.ones_like(masks, dtype=torch.bool) if counted is None else counted
    for name, each in (("masks", masks), ("counted", counted)):
        if each.dtype != torch.bool:
            raise ParameterError(f"{name} is {each.dtype}: bool was expected, e.g. mask > 0.5.")
    if maps.ndim != 3 or not maps.shape == masks.shape == counted.shape:
        raise ParameterError(
            f"The maps are {list(maps.shape)}, the masks {list(masks.shape)} and the pixels that "
            f"count {list(counted.shape)}: all must be [batch, height, width], of one size."
        )
    if not bool(torch.isfinite(maps).all()):
        raise ParameterError("A map holds NaN or infinite values: it points nowhere.")
    if not bool(counted.flatten(1).any(1).all()):
        raise ParameterError("In one of the images no pixel counts: leave the image out.")
    return maps.detach().cpu().double(), masks.cpu() & counted.cpu(), counted.cpu()
