"""Do maps depend on what the model has learned? Randomize it from the top layer down."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import torch
from torch import Tensor, nn

from ...errors import JobCancelled, ParameterError, VitAttentionError
from ...explainers.by_name import Explainer, MethodsLike, are_methods, explain
from ...models import VisionTransformer
from ...models.images import ImageLike
from ...statistics.ranks import paired_rank_correlation
from ...support.deprecation import renamed_keywords, reordered_arguments
from ...support.progress import Progress, ProgressLike, part_of, reporting
from ...support.warn import warn_caller
from ...targets.user_target import TargetLike
from ...tracing.model_or_trace import as_trace, check_nothing_beside_trace
from ...tracing.run import trace
from ...tracing.trace import Trace
from ..baselines import center, methods_without_baselines, random
from ..maps import checked_maps
from .result import SanityCheck
from .weights import copied, kept_target, randomize_weights

__all__ = ["sanity_check"]


def _has_methods(args: Sequence[object]) -> bool:
    """Whether the arguments after the images are methods and a target, as they used to be."""
    return len(args) > 1 or are_methods(args[0])


@renamed_keywords({"model": "model_or_trace"})
@reordered_arguments("model_or_trace", "images", "methods", "target", moved=_has_methods)
def sanity_check(
    model_or_trace: nn.Module | VisionTransformer | Trace,
    images: ImageLike | Sequence[ImageLike] | None = None,
    target: TargetLike = None,
    *,
    methods: MethodsLike | None = None,
    limit: float = 0.5,
    seed: int = 0,
    describe_copy: Callable[[nn.Module], VisionTransformer] | None = None,
    progress: ProgressLike = None,
) -> SanityCheck:
    """Cascading randomization of the weights (Adebayo et al. 2018, "Sanity Checks", section 4.1).

    The weights of the readout are randomized, then those of the last block too, and so on down to
    the patch embedding. After each stage the maps are made again, for the same images and the same
    class, and compared with the original ones by Spearman's rank correlation over the patches. A
    map that stays as it was shows something about the image or the architecture that the model did
    not have to learn. Class-agnostic methods (raw attention, rollout) cannot change after the
    first stage, as they do not use the readout; they must after the later ones.

    The new weights are normal, with the mean and standard deviation of the tensor that they
    replace. That is our choice: the source draws them from their initialization, which a trained
    model does not tell. The baselines, which do not depend on the model, are flagged by design.

    Parameters
    ----------
    model_or_trace : nn.Module or Trace
        A model with ``images``; a trace has its own images and masked heads. The weights of a deep
        copy are randomized; neither the model nor the global random state is touched.
    images : image, float tensor or list of images, optional
        A handful: all are traced together, once a stage.
    target : optional
        As for :func:`~vit_attention_widget.trace`. None is the class that the trained model
        predicts, which stays the target; for a trace its own target.
    methods : str, sequence of str or mapping, optional
        As for :func:`.evaluate`.
    limit : float
        Maps that correlate more than this after the last stage are flagged; between 0 and 1
        (ours).
    seed : int
        Of the new weights and of the random map.
    describe_copy : callable, optional
        Describes a copy of a model that was described by :func:`~vit_attention_widget.adapt` with
        functions that hold on to the model itself: ``lambda copy: vaw.adapt(copy, ...)``.
    progress : callable or bool, optional
        Called with (fraction, label[, seconds left]); True shows a progress bar. A callback may
        raise :class:`~vit_attention_widget.errors.JobCancelled`.

    Returns
    -------
    SanityCheck
        ``.values`` [stage, method, image]; ``.unchanged`` names the methods whose maps do not
        depend on the weights.

    Raises
    ------
    ParameterError, TargetError, ImageError, UnsupportedModelError, CaptureError

    Warns
    -----
    UserWarning
        If, of all explainers, one cannot explain the images: it is skipped. A method that was
        asked for by name raises instead.

    Examples
    --------
    >>> import vit_attention_widget as vaw
    >>> model, scene = vaw.demo.load_model(), vaw.demo.scene(seed=1)
    >>> vaw.evaluation.sanity_check(model, scene.image, methods="legrad").unchanged
    ('center', 'random')
    """
    if not 0 < limit < 1:
        raise ParameterError(f"limit is {limit}: a correlation between 0 and 1 was expected.")
    explainers: dict[str, Explainer] = {
        **methods_without_baselines(methods),
        "center": center,
        "random": partial(random, seed=seed),
    }
    if isinstance(model_or_trace, Trace):
        check_nothing_beside_trace(images=images)
        original = model_or_trace if target is None else model_or_trace.retarget(target)
    else:
        original = as_trace(model_or_trace, images, target)
    with reporting(progress) as report:
        copy = copied(original.model, original, describe_copy)
        start = part_of(report, 0, 0)
        before = _maps(original, explainers, start, skip_failing=methods is None)
        explainers = {name: explainers[name] for name in before}
        return _checked(original, copy, explainers, before, limit, seed, report)


def _checked(
    original: Trace,
    copy: VisionTransformer,
    explainers: Mapping[str, Explainer],
    before: Mapping[str, Tensor],
    limit: float,
    seed: int,
    report: Progress,
) -> SanityCheck:
    correlations: list[Tensor] = []
    stages: list[str] = []
    for stage in randomize_weights(copy, original, seed):
        done = len(stages) / (copy.num_layers + 2)
        report(done, f"{stage} randomized")
        randomized = trace(
            copy, original.inputs, kept_target(original), head_mask=original.head_mask
        )
        after = _maps(randomized, explainers, part_of(report, done, done))
        correlations.append(
            torch.stack([paired_rank_correlation(before[n], after[n]) for n in explainers])
        )
        stages.append(stage)
    report(1.0, "done")
    return SanityCheck(torch.stack(correlations), tuple(stages), tuple(explainers), limit)


def _maps(
    trace: Trace,
    explainers: Mapping[str, Explainer],
    report: Progress,
    skip_failing: bool = False,
) -> dict[str, Tensor]:
    """The maps of each method after the last layer; methods that cannot explain may be skipped."""
    maps: dict[str, Tensor] = {}
    for name, explainer in explainers.items():
        try:
            maps[name] = checked_maps(trace, explain(explainer, trace, report))
        except JobCancelled:
            raise
        except VitAttentionError as error:
            if not skip_failing:
                raise
            warn_caller(f"{name} is skipped: {error}")
    return maps
