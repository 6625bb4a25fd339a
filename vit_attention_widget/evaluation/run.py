"""All methods by all metrics, over one or many images."""

from __future__ import annotations

import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from torch import nn

from ..data.items import ImagesLike, count_images
from ..data.masks import masks_in_order
from ..data.reader import batches, until_error
from ..errors import ImageError, ParameterError, TargetError
from ..explainers import METHODS
from ..models import VisionTransformer, describe
from ..models.head_index import HeadsLike, check_mask
from ..support.deprecation import renamed_choice
from ..support.progress import Progress
from .baselines import BASELINES, OLD_NAMES
from .batch import Method, State, measured
from .fill import Fill
from .metrics import measures
from .result import Evaluation, Part

__all__ = ["evaluate", "evaluate_steps", "methods_by_name"]

_IMAGES_AT_ONCE = 8


def evaluate(
    model: nn.Module | VisionTransformer,
    images: ImagesLike,
    masks: Iterable[Any] | None = None,
    methods: str | Sequence[str] | Mapping[str, Method] | None = None,
    target: Any = None,
    metrics: str | Sequence[str] | None = None,
    *,
    fill: Fill | Sequence[Fill] | None = None,
    steps: int = 20,
    unit: str = "patch",
    interpolation: str = "bilinear",
    ignore: int | None = None,
    head_mask: HeadsLike | None = None,
    seed: int = 0,
    max_batch: int | None = None,
    progress: Progress | None = None,
    on_update: Callable[[Evaluation], None] | None = None,
) -> Evaluation:
    """How faithful maps are to a model's decisions, and how well they lie on the object.

    A map at the center of the picture and a random one, which know nothing of the model, are
    always evaluated beside the methods.

    ================= ====== ===================================================================
    metric            better what, and the function that says exactly what
    ================= ====== ===================================================================
    insertion         higher probability as relevant patches appear: :func:`.insertion`
    deletion          lower  probability as relevant patches go: :func:`.deletion`
    positive          lower  class first as relevant patches go: :func:`.positive_perturbation`
    negative          higher class first as others go: :func:`.negative_perturbation`
    average_drop      lower  probability lost seen through the map: :func:`.average_drop`
    increase          higher share of images more probable so: :func:`.increase`
    pointing          higher maximum on the object: :func:`.pointing_game`
    iou_mean          higher overlap of (map > its mean) with the object: :func:`.iou`
    iou_best          higher overlap at the best threshold: :func:`.iou`
    energy            higher share of the map on the object: :func:`.energy_inside`
    average_precision higher pixels ranked by the map: :func:`.average_precision`
    ================= ====== ===================================================================

    Parameters
    ----------
    model : nn.Module
        It is not changed.
    images : image, float tensor, list, data set or loader
        As for :func:`~vit_attention_widget.head_importance`.
    masks : iterable of masks, optional
        One for each image, in its order: an array, tensor, PIL image or path of the picture's
        size (it then goes through the picture's own preprocessing) or of the model input's; bool,
        0 to 1 or 0 to 255. None in it: that image has no mask. Without a mask, or where no object
        is in it, localization is NaN and left out of the means.
    methods : str, sequence of str or dict, optional
        Names of explainers, or functions of a trace by name, such as
        ``{"last two": lambda t: vaw.explainers.legrad(t, start=10)}``. All explainers by default.
    target : optional
        What is explained and measured: a class index or name, or one per image; None is the label
        that comes with an image, or the predicted class.
    metrics : str or sequence of str, optional
        All that can be computed by default; those from ``pointing`` on need masks.
    fill : str or callable, or several, optional
        What hidden patches become (:func:`.filled`); by default what each metric's source takes.
        With several, each metric that hides patches has a column for each.
    steps : int
        Of the curves of insertion and deletion.
    unit : {"patch", "pixel"}
        What is hidden one after the other.
    interpolation : {"bilinear", "nearest"}
        How maps come to pixels for localization.
    ignore : int, optional
        Value of the masks where pixels do not count.
    head_mask : dict or iterable of (layer, head), optional
        Heads that are masked: ``{layer: [heads]}`` or pairs.
    seed : int
        Of the random map, of noise, and of the order of equal values.
    max_batch : int, optional
        At most so many images run at once; chosen from the free memory by default.
    progress : callable, optional
        Called with (fraction, label); it may raise
        :class:`~vit_attention_widget.errors.JobCancelled`.
    on_update : callable, optional
        Called with what is known so far, after every few images; see also :func:`evaluate_steps`.

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
        If a data set raises after the first images: the result holds those, and the error in
        ``.error``. If a method cannot explain an image: its values are NaN there, and the error
        is in ``.failed``.

    Examples
    --------
    >>> import vit_attention_widget as vaw
    >>> scene = vaw.demo.scene(seed=1)
    >>> found = vaw.evaluate(vaw.demo.load_model(), scene.image, scene.mask, ["legrad"], steps=4)
    >>> found.methods
    ('legrad', 'center', 'random')
    >>> found.mean("legrad", "average_precision") > found.mean("random", "average_precision")
    True
    """
    every = evaluate_steps(
        model, images, masks, methods, target, metrics,
        fill=fill, steps=steps, unit=unit, interpolation=interpolation, ignore=ignore,
        head_mask=head_mask, seed=seed, max_batch=max_batch, progress=progress,
    )  # fmt: skip
    if on_update is not None:
        every = _told(every, on_update)
    found = deque(every, maxlen=1)[0]
    if found.error is not None:
        warnings.warn(
            f"The images ended early ({type(found.error).__name__}: {found.error}): this is "
            f"the evaluation of the first {len(found)}.",
            stacklevel=2,
        )
    for method, error in found.failed.items():
        warnings.warn(
            f"{method} could not explain some images ({type(error).__name__}: {error}): its "
            "values are NaN there.",
            stacklevel=2,
        )
    return found


def evaluate_steps(
    model: nn.Module | VisionTransformer,
    images: ImagesLike,
    masks: Iterable[Any] | None = None,
    methods: str | Sequence[str] | Mapping[str, Method] | None = None,
    target: Any = None,
    metrics: str | Sequence[str] | None = None,
    *,
    fill: Fill | Sequence[Fill] | None = None,
    steps: int = 20,
    unit: str = "patch",
    interpolation: str = "bilinear",
    ignore: int | None = None,
    head_mask: HeadsLike | None = None,
    seed: int = 0,
    max_batch: int | None = None,
    progress: Progress | None = None,
) -> Iterator[Evaluation]:
    """:func:`evaluate`, step by step: yields what is known after every few images.

    Stop whenever it is enough; what was yielded stays.
    """
    vit = describe(model)
    mask = check_mask(vit, head_mask)
    columns = measures(metrics, masks is not None, fill, steps, unit)
    by_name = methods_by_name(methods)
    total = count_images(images)
    waiting = None if masks is None else masks_in_order(masks, images)
    state = State(by_name, columns, unit, interpolation, ignore, seed, max_batch)
    parts: list[Part] = []
    size = min(_IMAGES_AT_ONCE, max_batch or _IMAGES_AT_ONCE)
    for batch in until_error(batches(images, target, max(1, size))):
        failure = batch if isinstance(batch, Exception) else None
        try:
            if not isinstance(batch, Exception):
                report = progress and _report(progress, state, total)
                for part in measured(vit, batch, waiting, mask, state, report):
                    parts.append(part)
                    yield state.result(parts)
        except (ImageError, TargetError, ParameterError) as error:
            failure = error
        if failure is not None:
            if not parts:
                raise failure
            yield state.result(parts, failure)
            return


def methods_by_name(
    methods: str | Sequence[str] | Mapping[str, Method] | None,
) -> dict[str, Method]:
    """Explainers by name; baselines are left out, being there anyway."""
    if methods is None:
        return dict(METHODS)
    if isinstance(methods, Mapping):
        found = dict(methods)
    else:
        names = [methods] if isinstance(methods, str) else list(dict.fromkeys(methods))
        names = [renamed_choice("methods", name, OLD_NAMES) for name in names]
        for name in names:
            if name not in METHODS and name not in BASELINES:
                raise ParameterError(
                    f"There is no method {name!r}: choose from {', '.join(METHODS)}, or give "
                    "functions of a trace by name."
                )
        found = {name: METHODS[name] for name in names if name not in BASELINES}
    taken = [name for name in found if name in BASELINES]
    if taken:
        raise ParameterError(f"{taken[0]!r} is the name of a baseline: call the method otherwise.")
    return found


def _report(progress: Progress, state: State, total: int | None) -> Progress:
    """Progress over all images from that over the next few."""

    def report(fraction: float, label: str) -> None:
        size = min(_IMAGES_AT_ONCE, max(1, (total or 0) - state.done))
        share = min(1.0, (state.done + fraction * size) / total) if total else 0.0
        progress(share, f"{label}, image {state.done}" + (f" of {total}" if total else ""))

    return report


def _told(
    every: Iterator[Evaluation], on_update: Callable[[Evaluation], None]
) -> Iterator[Evaluation]:
    for found in every:
        on_update(found)
        yield found
