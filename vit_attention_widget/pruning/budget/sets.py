"""Images that choose the heads, that recovery learns from, and that only judge."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor

from ...data.items import ImagesLike
from ...data.kept import kept_inputs
from ...data.labels import LabelsLike, with_labels
from ...errors import ParameterError
from ...models import VisionTransformer
from ...runs.told_images import digest_of_images

__all__ = ["Labeled", "Sets", "read_sets"]

Labeled: TypeAlias = list[tuple[Tensor, int]]
"""Model input [channel, height, width] on the CPU, and class index."""


@dataclass(frozen=True)
class Sets:
    """Three sets of labeled images that have none in common."""

    choosing: Labeled
    training: Labeled
    held_out: Labeled

    def digests(self) -> dict[str, object]:
        """What tells them from others."""
        return {
            name: [digest_of_images([image for image, _ in part]), [label for _, label in part]]
            for name, part in vars(self).items()
        }


def read_sets(
    vit: VisionTransformer,
    images: ImagesLike,
    labels: LabelsLike | None,
    held_out: ImagesLike | float,
    training: ImagesLike | float | None,
    seed: int,
) -> Sets:
    """Read all images, and set some apart where no images were given for a purpose.

    Parameters
    ----------
    held_out, training : images, or float
        A share is drawn from ``images`` by chance: of all of them, then of those that are left.
        ``training`` is None where nothing is learned.

    Raises
    ------
    ParameterError
        If images have no class of their own, if a set would be empty, or if images judge that
        also choose or train.
    """
    if labels is not None:
        images = with_labels(images, labels)
    left = _labeled(vit, images, "images")
    left, judging = _apart(vit, left, held_out, "held_out", seed)
    learned: Labeled = []
    if training is not None:
        left, learned = _apart(vit, left, training, "training", seed + 1)
    seen = {digest_of_images([image]) for image, _ in (*left, *learned)}
    twice = sum(digest_of_images([image]) in seen for image, _ in judging)
    if twice:
        raise ParameterError(
            f"{twice} of the {len(judging)} held-out images also choose heads or train: what is "
            "measured on them would flatter the smaller model. Give others, or each image once."
        )
    return Sets(left, learned, judging)


def _apart(
    vit: VisionTransformer, left: Labeled, wanted: ImagesLike | float, name: str, seed: int
) -> tuple[Labeled, Labeled]:
    """What is left of some images, and those that were given or drawn for a purpose."""
    if isinstance(wanted, bool) or not isinstance(wanted, int | float):
        return left, _labeled(vit, wanted, name)
    if not 0 < wanted < 1:
        raise ParameterError(
            f"{name} is {wanted}: give images, or a share of them between 0 and 1."
        )
    count = round(wanted * len(left))
    if not 0 < count < len(left):
        raise ParameterError(
            f"{name}={wanted:g} of {len(left)} images are {count}: give more images, or others as "
            f"{name}=."
        )
    order = torch.randperm(len(left), generator=torch.Generator().manual_seed(seed)).tolist()
    return [left[i] for i in sorted(order[count:])], [left[i] for i in sorted(order[:count])]


def _labeled(vit: VisionTransformer, images: ImagesLike, name: str) -> Labeled:
    kept = kept_inputs(vit, images)
    labeled = [(image, label) for image, label in kept.entries if label is not None]
    if not labeled:
        what = "mark several classes each" if kept.presences is not None else "have no labels"
        raise ParameterError(
            f"{name}: the images {what}, but an accuracy needs the class of each: give (image, "
            "label) pairs, a data set with labels, or labels=[...]."
        )
    return labeled
