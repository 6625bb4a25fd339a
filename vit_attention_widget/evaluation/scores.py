"""How faithful the one map is that is looked at now."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import ParameterError
from ..explainers import Attribution
from ..models.head_index import index_among
from ..support.progress import Progress
from ..tracing.trace import Trace
from .fill import Fill
from .occlusion import Perturbed
from .perturbation import Curve, checked_steps, deletion, insertion

__all__ = ["Scores", "scores_of"]


@dataclass(frozen=True)
class Scores:
    """Insertion and deletion of one map for each image of a trace.

    Attributes
    ----------
    insertion, deletion : Curve
        ``.fractions`` [point], ``.values`` [batch, point], ``.area`` [batch].
    method, target : str
        Of the map.
    layer : int
        The map as it stands after this layer.
    """

    insertion: Curve
    deletion: Curve
    method: str
    target: str
    layer: int


def scores_of(
    trace: Trace,
    attribution: Attribution,
    *,
    layer: int | None = None,
    steps: int = 10,
    fill: Fill | None = None,
    unit: str = "patch",
    seed: int = 0,
    max_batch: int | None = None,
    progress: Progress | None = None,
) -> Scores:
    """Insertion and deletion curves of one map, with their areas.

    The cost is 2 ``steps`` + 1 forward passes an image (one fewer with one fill for both), run a
    few at a time.

    Parameters
    ----------
    trace : Trace
        Its masked heads stay masked; gradients are not needed.
    attribution : Attribution
        A map of this trace.
    layer : int, optional
        The map as it stands after this layer; the last by default.
    steps : int
        Of each curve.
    fill : str or callable, optional
        What hidden patches become (:func:`.filled`); by default ``"blur"`` for insertion and
        ``"zero"`` for deletion, as RISE has it.
    unit : {"patch", "pixel"}
    seed : int
        Of the order of equal values and of noise.
    max_batch : int, optional
        At most so many images run at once.
    progress : callable, optional
        Called with (fraction, label) after every few forward passes; it may raise
        :class:`~vit_attention_widget.errors.JobCancelled`.

    Raises
    ------
    ParameterError
        If the map is not of this trace or not finite, or a layer or option does not exist.

    Examples
    --------
    >>> import vit_attention_widget as vaw
    >>> trace = vaw.trace(vaw.demo.load_model(), vaw.demo.scene(seed=1).image)
    >>> scores = vaw.evaluation.scores_of(trace, vaw.explainers.daam(trace))
    >>> bool(scores.insertion.area > scores.deletion.area)
    True
    """
    layers = attribution.values.shape[1]
    at = index_among(-1 if layer is None else layer, layers, from_end=True)
    if at is None:
        raise ParameterError(f"There is no layer {layer!r}: the map has layers 0 to {layers - 1}.")
    checked_steps(steps)
    held = Perturbed(
        trace,
        seed=seed,
        max_batch=max_batch,
        progress=progress,
        expected=(2 * steps + (1 if fill is None else 0)) * trace.batch_size,
    )
    shown = Attribution(attribution.values[:, at : at + 1], attribution.method, attribution.target)
    first, last = ("blur", "zero") if fill is None else (fill, fill)
    return Scores(
        insertion(held, shown, fill=first, steps=steps, unit=unit),
        deletion(held, shown, fill=last, steps=steps, unit=unit),
        attribution.method,
        attribution.target,
        at,
    )
