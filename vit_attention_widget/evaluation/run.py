"""Score methods by metrics, over one or many images."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from functools import partial
from pathlib import Path

import numpy as np
from torch import Tensor, nn

from ..data.items import ImagesLike
from ..data.masks import MaskLike, masks_in_order, several_masks
from ..errors import ImageError, ParameterError
from ..explainers.by_name import MethodsLike
from ..models import VisionTransformer
from ..models.head_index import HeadsLike
from ..results.unfinished import warn_if_skipped
from ..runs.long_run import How, long_run
from ..runs.skipped import OnError
from ..runs.told_images import digest_of_images
from ..support.deprecation import renamed_keywords, reordered_arguments
from ..support.progress import ProgressLike
from ..support.steps import last_of
from ..support.warn import warn_caller
from ..targets.user_target import TargetLike
from ..tracing.model_or_trace import ModelAndImages
from ..tracing.trace import Trace
from .baselines import methods_without_baselines
from .batch import Evaluator, OfBatches
from .columns import requested_columns
from .fill import Fill
from .maps import Interpolation, Unit
from .masks import are_masks
from .metrics import MetricName
from .result import Evaluation

__all__ = ["evaluate", "evaluate_steps"]

_IMAGES_AT_ONCE = 8


def _has_masks(args: Sequence[object]) -> bool:
    """Whether the arguments after the images are masks, methods, ..., as they used to be."""
    return len(args) > 1 or are_masks(args[0])


_old_order = reordered_arguments(
    "model_or_trace", "images", "masks", "methods", "target", "metrics", moved=_has_masks
)
_old_names = renamed_keywords({"model": "model_or_trace"})


@_old_names
@_old_order
def evaluate_steps(
    model_or_trace: nn.Module | VisionTransformer | Trace,
    images: ImagesLike | None = None,
    target: TargetLike = None,
    *,
    masks: MaskLike | Iterable[MaskLike] = None,
    methods: MethodsLike | None = None,
    metrics: MetricName | Sequence[MetricName] | None = None,
    fill: Fill | Sequence[Fill] | None = None,
    steps: int = 20,
    unit: Unit = "patch",
    interpolation: Interpolation = "bilinear",
    ignore: int | None = None,
    head_mask: HeadsLike | None = None,
    seed: int = 0,
    max_batch: int | None = None,
    start: Evaluation | None = None,
    store: str | Path | None = None,
    executor: Executor | None = None,
    on_error: OnError | None = None,
    progress: ProgressLike = None,
) -> Iterator[Evaluation]:
    """:func:`evaluate`, step by step: yields what is known after every few images.

    Stop whenever it is enough; what was yielded stays. Parameters and errors are those of
    :func:`evaluate`.
    """
    columns = requested_columns(metrics, fill, steps, unit, have_masks=masks is not None)
    explainers = methods_without_baselines(methods)
    if isinstance(model_or_trace, Trace) and target is not None:
        model_or_trace, target = model_or_trace.retarget(target), None
    asked = ModelAndImages.of(model_or_trace, images, target, head_mask, executor=executor)
    shown = images if asked.trace is None else asked.trace.inputs
    if shown is None:
        raise ImageError("There are no images: give evaluate(model, images), or a trace.")
    evaluator = Evaluator(
        explainers,
        columns,
        None if masks is None else masks_in_order(masks, shown),
        interpolation=interpolation,
        ignore=ignore,
        seed=seed,
        max_batch=max_batch,
    )
    with long_run(
        "evaluate",
        asked.vit,
        Evaluation,
        evaluator.joined,
        evaluator.parts_of(start),
        How(start, store, executor, on_error, progress),
        asked.total,
        **evaluator.joined_about(),
        functions=methods if isinstance(methods, Mapping) else None,
        target=asked.target,
        fill=fill,
        steps=steps,
        unit=unit,
        interpolation=interpolation,
        ignore=ignore,
        head_mask=asked.head_mask,
        masks=masks is not None if store is None else _told(masks),
        seed=seed,
    ) as run:
        if asked.trace is not None:
            inputs = asked.trace.inputs
            measure = partial(evaluator.evaluate_trace, asked.trace, inputs, run.report, 0)
            scored = run.once(measure, inputs)
        else:
            size = max(1, min(_IMAGES_AT_ONCE, max_batch or _IMAGES_AT_ONCE))
            scored = run.over(asked.batches(size), OfBatches(evaluator, asked.head_mask))
        for evaluation in run.kept.each(scored):
            if not evaluation.parts[-1].methods_left:
                yield evaluation


def _told(masks: MaskLike | Iterable[MaskLike]) -> str | None:
    """What tells these masks from others, in the manifest of a store."""
    if masks is None:
        return None
    every = several_masks(masks)
    if not isinstance(every, Sequence | Tensor | np.ndarray):
        raise ParameterError(
            "A store has to tell these masks from others before the first is used: give masks= as "
            "a list (of files, say) or an array, or no store=."
        )
    return digest_of_images(["" if mask is None else mask for mask in every])


@_old_names
@_old_order
@last_of(evaluate_steps, on_update=True)
def evaluate(evaluation: Evaluation) -> Evaluation:
    """How faithful maps are to a model's decisions, and how well they localize the object.

    Two baselines that do not depend on the model, a Gaussian at the center of the image and a
    random map, are always evaluated beside the methods.

    ================= ====== ===================================================================
    metric            better what it measures, and the function that defines it
    ================= ====== ===================================================================
    insertion         higher probability as relevant patches are shown: :func:`.insertion`
    deletion          lower  probability as relevant patches are hidden: :func:`.deletion`
    positive          lower  top-1 as relevant patches are hidden: :func:`.positive_perturbation`
    negative          higher top-1 as irrelevant ones are hidden: :func:`.negative_perturbation`
    average_drop      lower  probability lost through the map: :func:`.average_drop`
    increase          higher share of images more probable through the map: :func:`.increase`
    pointing          higher maximum on the object: :func:`.pointing_game`
    iou_mean          higher overlap of (map > its mean) with the object: :func:`.iou`
    iou_best          higher overlap at the best threshold: :func:`.iou`
    energy            higher share of the map on the object: :func:`.energy_inside`
    average_precision higher area under the precision-recall curve: :func:`.average_precision`
    ================= ====== ===================================================================

    Probabilities are by softmax or by sigmoid, as the model's outputs are
    (:func:`~vit_attention_widget.describe`); by sigmoid a class counts as top-1 while it is more
    probable than not. Of a model of values, the value stands for both.

    Parameters
    ----------
    model_or_trace : nn.Module or Trace
        A model with ``images``; it is not changed. A trace has its own images and masked heads.
    images : image, float tensor, list, data set or loader, optional
        As for :func:`~vit_attention_widget.head_importance`.
    target : optional
        What is explained and measured: a class index or name, or one per image. None is the label
        that comes with an image, or the predicted class; for a trace its own target.
    masks : iterable of masks, optional
        Ground-truth masks of the objects, one for each image in the same order: an array, tensor,
        PIL image or path, of the image's size (the mask is preprocessed as the image is) or of the
        size of the model's input; bool, 0 to 1 or 0 to 255. An image without a mask has None. For
        images without a mask, or with an empty one, localization is NaN, which means ignore.
    methods : str, sequence of str or mapping, optional
        Names of explainers, or functions of a trace by name, such as
        ``{"last two": lambda t: vaw.explainers.legrad(t, start=10)}``. All explainers by default.
    metrics : str or sequence of str, optional
        By default all that can be computed; those from ``pointing`` on need masks.
    fill : str or callable, or several, optional
        What hidden patches become (see :func:`.deletion`); by default what the source of each
        metric uses. With several fills, a metric that hides patches has a column for each.
    steps : int
        Of the curves of insertion and deletion.
    unit : {"patch", "pixel"}
        What is hidden one after the other.
    interpolation : {"bilinear", "nearest"}
        How maps are upsampled to pixels for localization.
    ignore : int, optional
        Value of the masks where pixels do not count.
    head_mask : dict or pairs, optional
        ``{layer: [heads]}`` or (layer, head) pairs that are masked.
    seed : int
        Of the random map, of noise, and of the order of equal values.
    max_batch : int, optional
        At most so many images run at once; chosen from the free memory by default.
    start : Evaluation, optional
        What the same call evaluated before it was stopped; only the rest is computed.
    store : str or Path, optional
        A folder, in which what is computed is written as it is computed. The same call goes on from
        it, also after the process was killed; that of another model or other options is refused.
    executor : Executor, optional
        What computes the batches: one of ``concurrent.futures``, or Dask's
        ``client.get_executor(pure=False, retries=2)``. Its workers read the images, best given as
        paths, and load the model once. Without it all is computed here.
    on_error : {"raise", "skip", "retry"}, optional
        What becomes of an image that cannot be read, or whose worker fails each time. ``"skip"``
        goes on without it: ``.skipped`` names it, and the same call does not try it again;
        ``"retry"`` does. ``"raise"``, the default without ``executor``, ends there.
    progress : callable or bool, optional
        Called with (fraction, label[, seconds left]); True shows a progress bar. A callback may
        raise :class:`~vit_attention_widget.errors.JobCancelled`.

    Returns
    -------
    Evaluation
        ``.values`` [image, method, metric], ``.summary()``, ``.to_dataframe()``, ``.plot()``.

    Raises
    ------
    ParameterError, TargetError, ImageError, UnsupportedModelError, CaptureError

    Warns
    -----
    UserWarning
        If an error ends the evaluation after the first method: the result holds what is known by
        then (:attr:`Evaluation.how_far`), and the error in ``.error``. After Ctrl-C and cancel it
        is what :func:`~vit_attention_widget.kept_result` returns. If a method cannot explain some
        images: its values are NaN there, and the first
        error is in ``.failed``.

    Examples
    --------
    >>> import vit_attention_widget as vaw
    >>> model, scene = vaw.demo.load_model(), vaw.demo.scene(seed=1)
    >>> table = vaw.evaluate(model, scene.image, masks=scene.mask, methods=["legrad"], steps=4)
    >>> table.methods
    ('legrad', 'center', 'random')
    >>> table.mean("legrad", "average_precision") > table.mean("random", "average_precision")
    True
    """
    if evaluation.error is not None:
        warn_caller(
            f"The images ended early ({type(evaluation.error).__name__}: {evaluation.error}): "
            f"this is the evaluation of the first {len(evaluation)}."
        )
    warn_if_skipped(evaluation)
    for method, error in evaluation.failed.items():
        warn_caller(
            f"{method} could not explain some images ({type(error).__name__}: {error}): its "
            "values are NaN there."
        )
    return evaluation
