"""Targets made of the features of models that have no classifier."""

from __future__ import annotations

from collections.abc import Sequence, Sized
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from numpy.typing import NDArray
from torch import Tensor

from ..errors import CaptureError, TargetError
from ..models import VisionTransformer
from ..models.eval_mode import evaluating
from ..models.images import ImageLike
from .target import Target, TargetSpec

__all__ = ["check_features", "features_of", "similarity", "whole"]


def similarity(
    reference: ImageLike | Sequence[ImageLike] | Sequence[float] | NDArray[np.floating],
) -> TargetSpec:
    r"""Cosine of the model's features with those of another image, or with a vector of your own.

    :math:`y = f \cdot g / (\lVert f \rVert \lVert g \rVert)`: what makes this image similar to that
    one. With a text's features from the other tower of the same model it is what LeGrad's authors
    explain (:func:`~vit_attention_widget.zero_shot` does so for several texts).

    Parameters
    ----------
    reference : image, list of images, or features
        An image in any form that a model takes, or a float vector [dim] or [batch, dim]; one for
        all images or one each.

    Raises
    ------
    TargetError
        When it is used: if the model has a classifier, so that it returns logits and no features,
        or if the vector is of another length, zero, or not finite.
    ImageError
        If the reference is no image and no vector.

    Examples
    --------
    >>> import vit_attention_widget as vaw
    >>> model = vaw.demo.load_model()
    >>> model.reset_classifier(0)  # what it returns now are its features
    >>> one, other = (vaw.demo.scene(seed, "star").image for seed in (1, 2))
    >>> trace = vaw.trace(model, one, vaw.targets.similarity(other))
    >>> trace.target.name, vaw.explainers.legrad(trace).final.shape
    ('similarity to an image', torch.Size([1, 10, 10]))
    """
    vector = _as_vector(reference)
    name = f"similarity to {_said(reference) if vector is None else 'a vector'}"

    def bind(logits: Tensor, vit: VisionTransformer) -> Target:
        check_features(vit)
        other = features_of(vit, vit.prepare(reference)) if vector is None else vector
        other = _checked(other, logits, vit)

        def score(features: Tensor) -> Tensor:
            ours = whole(features)
            return F.cosine_similarity(ours, other.to(ours), dim=-1)

        return Target(score, name)

    return TargetSpec(name, bind)


def check_features(vit: VisionTransformer) -> None:
    """Raise :class:`TargetError` if what the model returns are logits."""
    if vit.has_classes:
        raise TargetError(
            f"{vit.name} has a classifier of {vit.num_classes} classes, so it returns logits, but "
            "features were expected: use a copy without it, e.g. features = copy.deepcopy(model); "
            "features.reset_classifier(0)."
        )


def features_of(vit: VisionTransformer, inputs: Tensor) -> Tensor:
    """What a model without a classifier makes of model inputs, [batch, dim], as a constant."""
    with evaluating(vit.model), torch.inference_mode(False), torch.no_grad():
        features = whole(vit.forward(inputs.clone() if inputs.is_inference() else inputs))
    if not torch.isfinite(features).all():
        raise CaptureError(
            f"The features of {vit.name} are not finite: look for NaN or infinity in its weights, "
            "or overflow in half precision."
        )
    return features.detach()


def whole(values: Tensor) -> Tensor:
    """In float32 at least: a cosine of half precision is a coarse one."""
    return values.float() if values.dtype in (torch.float16, torch.bfloat16) else values


def _checked(other: Tensor, logits: Tensor, vit: VisionTransformer) -> Tensor:
    other = other[None] if other.ndim == 1 else other
    batch, dim = logits.shape
    if other.shape[1] != dim:
        raise TargetError(
            f"The vector to compare with has {other.shape[1]} numbers, but the features of "
            f"{vit.name} have {dim}: give features of this model, or of a text tower that shares "
            "their space."
        )
    if len(other) not in (1, batch):
        raise TargetError(
            f"{len(other)} images or vectors to compare with were given for {batch} images: give "
            "one for all, or one each."
        )
    if not torch.isfinite(other).all() or bool((other == 0).all(-1).any()):
        raise TargetError(
            "The vector to compare with is zero or not finite, so nothing is like it: give the "
            "features of an image or a text."
        )
    return other


def _as_vector(reference: object) -> Tensor | None:
    """Features, if that is what was given; images have three axes, or are no floats."""
    if isinstance(reference, list | tuple) and reference:
        if not all(isinstance(v, int | float) for v in reference):
            return None
        reference = torch.tensor(reference, dtype=torch.float32)
    if isinstance(reference, np.ndarray) and np.issubdtype(reference.dtype, np.floating):
        reference = torch.from_numpy(reference)
    if not isinstance(reference, Tensor) or not reference.is_floating_point():
        return None
    return whole(reference.detach().clone()) if reference.ndim in (1, 2) else None


def _said(reference: object) -> str:
    name = getattr(reference, "filename", reference)
    if isinstance(name, str | Path) and str(name):
        return Path(name).name
    many = isinstance(reference, list | tuple) or getattr(reference, "ndim", 3) == 4
    return "images" if many and isinstance(reference, Sized) and len(reference) > 1 else "an image"
