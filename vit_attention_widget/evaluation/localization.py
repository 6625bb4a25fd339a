"""Does a map lie on the object? Maps and masks at pixels, [batch, height, width].

A mask without a pixel of the object has nothing to be found: its values are NaN. All of them are
the same for a map and any rising linear function of it.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from ..errors import ParameterError
from .maps import min_max

__all__ = ["average_precision", "energy_inside", "iou", "pointing_game"]


def pointing_game(
    maps: Tensor, masks: Tensor, counted: Tensor | None = None, *, tolerance: int = 0
) -> Tensor:
    """Whether the maximum lies on the object (Zhang et al. 2018, "Excitation Backprop").

    Where several pixels share the maximum it is the share of them that lie on the object (ours):
    a constant map scores the object's share of the picture, as guessing does.

    Parameters
    ----------
    maps : Tensor
        [batch, height, width].
    masks : Tensor
        [batch, height, width] bool, True on the object.
    counted : Tensor, optional
        [batch, height, width] bool: pixels that count, such as all but a border.
    tolerance : int
        Within so many pixels of the object is a hit too. The source allows 15, made for
        bounding boxes; true masks need none.

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
    near = _grown(masks, tolerance)
    top = torch.where(counted, maps, -torch.inf).flatten(1).amax(1)[:, None, None]
    at = (maps == top) & counted
    hits = (at & near).flatten(1).double().sum(1) / at.flatten(1).sum(1)
    return _known(hits, masks)


def energy_inside(maps: Tensor, masks: Tensor, counted: Tensor | None = None) -> Tensor:
    r"""Share of the map that lies on the object (Score-CAM: Wang et al. 2020).

    :math:`\sum_{object} m / \sum m` with m the map from 0 at its least to 1 at its most, as the
    authors' code has it. A constant map scores the object's share of the picture (ours).

    Parameters and returns are those of :func:`pointing_game`.
    """
    maps, masks, counted = _checked(maps, masks, counted)
    scaled = _scaled(maps, counted)
    inside = (scaled * masks).flatten(1).sum(1)
    total = scaled.flatten(1).sum(1)
    return _known(inside / total, masks)


def iou(
    maps: Tensor,
    masks: Tensor,
    counted: Tensor | None = None,
    *,
    threshold: str = "mean",
) -> Tensor:
    r"""Overlap of what the map marks with the object: :math:`|M \cap O| / |M \cup O|`.

    Parameters
    ----------
    threshold : {"mean", "best"}
        ``"mean"``: M is where the map exceeds its mean, which Chefer et al. (2021) segment by; a
        constant map marks nothing and scores 0. ``"best"``: the largest overlap of all thresholds
        (M is where the map is at least t), an upper bound that no user can choose without the
        mask.

    The others, and what is returned, are those of :func:`pointing_game`.
    """
    if threshold not in ("mean", "best"):
        raise ParameterError(f"The threshold is {threshold!r}: choose 'mean' or 'best'.")
    maps, masks, counted = _checked(maps, masks, counted)
    if threshold == "mean":
        of = maps.masked_fill(~counted, 0).flatten(1).sum(1) / counted.flatten(1).sum(1)
        least = torch.where(counted, maps, torch.inf).flatten(1).amin(1)
        top = torch.where(counted, maps, -torch.inf).flatten(1).amax(1)
        above = (maps > of[:, None, None]) & (top > least)[:, None, None]  # the mean is rounded
        marked = above & counted
        union = (marked | masks).flatten(1).sum(1)
        return _known((marked & masks).flatten(1).double().sum(1) / union, masks)
    found = []
    for hit, false, size in _by_threshold(maps, masks, counted):
        found.append((hit / (size + false)).max())
    return _known(torch.stack(found), masks)


def average_precision(maps: Tensor, masks: Tensor, counted: Tensor | None = None) -> Tensor:
    r"""Area below precision over recall, each pixel being a retrieved item.

    :math:`\sum_n (R_n - R_{n-1}) P_n` over the distinct values of the map, from the highest down:
    scikit-learn's ``average_precision_score``. Chefer et al. (2021) report it as mAP, there over
    object and background. A constant map scores the object's share of the picture.

    Parameters and returns are those of :func:`pointing_game`.
    """
    maps, masks, counted = _checked(maps, masks, counted)
    found = []
    for hit, false, size in _by_threshold(maps, masks, counted):
        precision = hit / (hit + false)
        gain = torch.diff(hit, prepend=hit.new_zeros(1)) / size
        found.append((gain * precision).sum())
    return _known(torch.stack(found), masks)


def _by_threshold(
    maps: Tensor, masks: Tensor, counted: Tensor
) -> list[tuple[Tensor, Tensor, Tensor]]:
    """For each image: object and other pixels at or above each distinct value, and its size."""
    found = []
    for heat, mask, counts in zip(maps, masks, counted, strict=True):
        values, order = heat[counts].sort(descending=True)
        on = mask[counts][order].double()
        last = torch.ones_like(values, dtype=torch.bool)
        last[:-1] = values[1:] != values[:-1]  # equal values are one threshold
        found.append((on.cumsum(0)[last], (1 - on).cumsum(0)[last], on.sum()))
    return found


def _scaled(maps: Tensor, counted: Tensor) -> Tensor:
    """From 0 to 1 over the pixels that count, 0 on the others; constant maps are 1."""
    least = torch.where(counted, maps, torch.inf).flatten(1).amin(1)[:, None, None]
    scaled = min_max(torch.where(counted, maps, least))
    flat = scaled.flatten(1).amax(1) == 0
    return torch.where(flat[:, None, None], 1.0, scaled) * counted


def _grown(masks: Tensor, by: int) -> Tensor:
    """Masks with all that lies within ``by`` pixels of them."""
    if by < 0:
        raise ParameterError(f"The tolerance is {by} pixels: it is at least 0.")
    if by == 0:
        return masks
    height, grown = masks.shape[1], masks.clone()
    for down in range(-min(by, height - 1), min(by, height - 1) + 1):
        across = int((by**2 - down**2) ** 0.5)
        wide = F.max_pool1d(masks.float(), 2 * across + 1, 1, across) > 0
        start, stop = max(0, down), height + min(0, down)
        grown[:, start:stop] |= wide[:, start - down : stop - down]
    return grown


def _known(values: Tensor, masks: Tensor) -> Tensor:
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
            f"count {list(counted.shape)}: all must be [batch, height, width], in one size."
        )
    if not bool(torch.isfinite(maps).all()):
        raise ParameterError("A map holds NaN or infinite values: it points nowhere.")
    if not bool(counted.flatten(1).any(1).all()):
        raise ParameterError("In one of the pictures no pixel counts: leave it out.")
    return maps.detach().cpu().double(), masks.cpu() & counted.cpu(), counted.cpu()
