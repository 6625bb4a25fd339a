"""Does a map depend on what the model has learned? Make it forget, from the top layer down."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ...errors import JobCancelled, ParameterError, VitAttentionError
from ...models import VisionTransformer, describe
from ...statistics.ranks import average_ranks
from ...support.progress import Progress
from ...tracing.run import trace
from ...tracing.trace import Trace
from ..baselines import center, random
from ..batch import Method
from ..maps import checked_maps
from ..run import methods_by_name
from .result import SanityCheck
from .weights import copied, kept_target, randomize_weights

__all__ = ["rank_correlation", "sanity_check"]


def sanity_check(
    model: nn.Module | VisionTransformer,
    images: Any,
    methods: str | Sequence[str] | Mapping[str, Method] | None = None,
    target: Any = None,
    *,
    limit: float = 0.5,
    seed: int = 0,
    describe_copy: Callable[[nn.Module], VisionTransformer] | None = None,
    progress: Progress | None = None,
) -> SanityCheck:
    """Cascading randomisation of the weights (Adebayo et al. 2018, "Sanity Checks", section 4.1).

    The readout's weights are drawn anew, then those of the last block too, and so on down to the
    patch embedding; after each stage the maps are made again, of the same images and the same
    class, and compared with the original ones by Spearman's rank correlation over the patches.
    A map that stays what it was shows something of the image, or of the architecture, that the
    model did not have to learn. Class-agnostic methods (raw attention, rollout) cannot change
    at the first stage; they must at the later ones.

    New weights are normal with the mean and the spread of the tensor that they replace (ours: the
    source draws them as they are initialised, which a model does not tell). The center and the
    random map, which do not look at the model, are flagged by design.

    Parameters
    ----------
    model : nn.Module
        A deep copy is made random; the model itself and the global random numbers are untouched.
    images : image, float tensor, or list of images
        A handful: all are traced together, once a stage.
    methods : str, sequence of str or dict, optional
        As for :func:`.evaluate`.
    target : optional
        As for :func:`~vit_attention_widget.trace`: None is the class that the whole model
        predicts, which stays the target.
    limit : float
        Flag maps whose correlation at the last stage is larger, between 0 and 1 (ours).
    seed : int
        Of the new weights.
    describe_copy : callable, optional
        How to describe a copy of a model that was described by :func:`~vit_attention_widget.adapt`,
        whose functions hold on to the model itself: ``lambda copy: vaw.adapt(copy, ...)``.
    progress : callable, optional
        Called with (fraction, label); it may raise
        :class:`~vit_attention_widget.errors.JobCancelled`.

    Returns
    -------
    SanityCheck
        ``.unchanged`` names the maps that do not depend on the weights.

    Raises
    ------
    ParameterError, TargetError, ImageError, UnsupportedModelError, CaptureError

    Warns
    -----
    UserWarning
        If one of all explainers cannot explain the images: it is left out. A method that was
        asked for by name raises instead.

    Examples
    --------
    >>> import vit_attention_widget as vaw
    >>> model, scene = vaw.demo.load_model(), vaw.demo.scene(seed=1)
    >>> vaw.evaluation.sanity_check(model, scene.image, "legrad").unchanged
    ('center', 'random')
    """
    if not 0 < limit < 1:
        raise ParameterError(f"limit is {limit}: a correlation between 0 and 1 was expected.")
    vit = describe(model)
    every: dict[str, Method] = {
        **methods_by_name(methods), "center": center, "random": partial(random, seed=seed)
    }  # fmt: skip
    original = trace(vit, images, target)
    forgetful = copied(vit, original, describe_copy)
    before = _maps(original, every, keep_going=methods is None)
    every = {name: every[name] for name in before}
    names = tuple(before)
    found: list[Tensor] = []
    stages: list[str] = []
    for stage in randomize_weights(forgetful, original, seed):
        if progress is not None:
            progress(len(stages) / (vit.num_layers + 2), f"{stage} made random")
        after = _maps(trace(forgetful, original.inputs, kept_target(original)), every)
        found.append(torch.stack([rank_correlation(before[n], after[n]) for n in names]))
        stages.append(stage)
    if progress is not None:
        progress(1.0, "done")
    return SanityCheck(torch.stack(found), tuple(stages), names, limit)


def rank_correlation(first: Tensor, second: Tensor) -> Tensor:
    """Spearman's correlation of each pair of maps [batch, ...]; equal values share their rank.

    0 where the second map alone is constant: nothing is left of the first. NaN where the first is.
    """
    a, b = (
        torch.from_numpy(np.stack([average_ranks(each) for each in maps.flatten(1).cpu().numpy()]))
        for maps in (first, second)
    )
    a, b = a - a.mean(1, keepdim=True), b - b.mean(1, keepdim=True)
    spread = (a.square().sum(1) * b.square().sum(1)).sqrt()
    found = torch.where(spread > 0, (a * b).sum(1) / spread.clamp_min(1e-300), 0)
    return torch.where(a.square().sum(1) > 0, found.clamp(-1, 1), torch.nan)


def _maps(
    found: Trace, methods: Mapping[str, Method], keep_going: bool = False
) -> dict[str, Tensor]:
    """The final map of each method; those that cannot explain the images may be left out."""
    maps: dict[str, Tensor] = {}
    for name, method in methods.items():
        try:
            maps[name] = checked_maps(found, method(found))
        except JobCancelled:
            raise
        except VitAttentionError as error:
            if not keep_going:
                raise
            warnings.warn(f"{name} is left out: {error}", stacklevel=3)
    return maps
