"""How faithful a single map is: its insertion and deletion curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ..errors import ParameterError
from ..explainers import Attribution
from ..models.head_index import index_among
from ..results.drawing import axes_or_new
from ..results.named_values import NamedValues, Variable
from ..results.storage import JsonObject
from ..support.progress import ProgressLike, reporting
from ..tracing.trace import Trace
from .curve import Curve
from .fill import Fill
from .maps import Unit
from .occlusion import Occluder
from .perturbation import checked_steps, deletion, insertion

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Scores", "scores_of"]


@dataclass(frozen=True, eq=False)
class Scores(NamedValues):
    """Insertion and deletion of one map for each image of a trace.

    Attributes
    ----------
    insertion, deletion : Curve
        ``.fractions`` [fraction], ``.values`` [image, fraction], ``.area`` [image].
    method, target : str
        Of the map.
    layer : int
        The map as it stands after this layer.
    """

    kind = "scores"
    axes = ("curve", "image", "fraction")
    table_axes = ("image", "fraction")

    insertion: Curve
    deletion: Curve
    method: str
    target: str
    layer: int

    @property
    def values(self) -> Tensor:
        """[curve, image, fraction]: insertion, then deletion."""
        return torch.stack([self.insertion.values, self.deletion.values])

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw both curves, the mean over the images. Needs matplotlib.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional

        Returns
        -------
        matplotlib.axes.Axes
        """
        ax = axes_or_new(ax)
        for name, curve in (("insertion", self.insertion), ("deletion", self.deletion)):
            curve.plot(ax, label=f"{name} {float(curve.area.mean()):.3f}")
        ax.set(xlabel="share of patches shown (insertion) or hidden (deletion)")
        ax.set_title(f"{self.method}, {self.target}", fontsize=9)
        ax.legend(fontsize=7)
        return ax

    def _variables(self) -> Mapping[str, Variable]:
        axes = self.table_axes
        areas = {
            "insertion area": Variable(("image",), self.insertion.area),
            "deletion area": Variable(("image",), self.deletion.area),
        }
        return {
            "insertion": Variable(axes, self.insertion.values),
            "deletion": Variable(axes, self.deletion.values),
            **areas,
        }

    def _coords(self) -> Mapping[str, Sequence[float]]:
        return {"fraction": self.insertion.fractions.tolist()}

    def _to_parts(self) -> tuple[dict[str, Tensor], JsonObject]:
        tensors = {
            "fractions": self.insertion.fractions,
            "insertion": self.insertion.values,
            "deletion": self.deletion.values,
        }
        return tensors, {"method": self.method, "target": self.target, "layer": self.layer}

    @classmethod
    def _from_parts(cls, tensors: dict[str, Tensor], about: JsonObject) -> Scores:
        shown = Curve(tensors["fractions"], tensors["insertion"])
        return cls(shown, Curve(shown.fractions, tensors["deletion"]), **about)


def scores_of(
    trace: Trace,
    attribution: Attribution,
    *,
    layer: int | None = None,
    steps: int = 10,
    fill: Fill | None = None,
    unit: Unit = "patch",
    seed: int = 0,
    max_batch: int | None = None,
    progress: ProgressLike = None,
) -> Scores:
    """Insertion and deletion curves of one map, with their areas.

    Costs 2 ``steps`` + 1 forward passes an image (one fewer if one fill serves both), a few at a
    time.

    Parameters
    ----------
    trace : Trace
        Its masked heads stay masked; gradients are not needed.
    attribution : Attribution
        A map of this trace.
    layer : int, optional
        The map as it stands after this layer; -1, the last, by default.
    steps : int
        Of each curve.
    fill : str or callable, optional
        What hidden patches become (see :func:`.deletion`); by default ``"blur"`` for insertion
        and ``"zero"`` for deletion, as in RISE.
    unit : {"patch", "pixel"}
    seed : int
        Of the order of equal values and of noise.
    max_batch : int, optional
        At most so many images run at once.
    progress : callable or bool, optional
        Called with (fraction, label) after every few forward passes; True shows a progress bar. A
        callback may raise :class:`~vit_attention_widget.errors.JobCancelled`.

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
    index = index_among(-1 if layer is None else layer, layers, from_end=True)
    if index is None:
        raise ParameterError(f"There is no layer {layer!r}: the map has layers 0 to {layers - 1}.")
    checked_steps(steps)
    maps = attribution.values[:, index]
    insertion_fill, deletion_fill = ("blur", "zero") if fill is None else (fill, fill)
    with reporting(progress) as report:
        occluder = Occluder(
            trace,
            seed=seed,
            max_batch=max_batch,
            progress=report,
            expected=(2 * steps + (1 if fill is None else 0)) * trace.batch_size,
        )
        return Scores(
            insertion(occluder, maps, fill=insertion_fill, steps=steps, unit=unit),
            deletion(occluder, maps, fill=deletion_fill, steps=steps, unit=unit),
            attribution.method,
            attribution.target,
            index,
        )
