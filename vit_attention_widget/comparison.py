"""Maps beside each other, and how far they agree on which patches matter."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from .errors import CaptureError, ImageError, ParameterError, TargetError, UnsupportedModelError
from .explainers import METHODS, Attribution
from .heads.image_sets import kept_inputs
from .ranks import rank_correlation
from .selection import layer_index
from .targets import resolve
from .trace import Trace
from .tracing import Progress, trace
from .vision_transformers import VisionTransformer, describe

__all__ = ["Comparison", "MapOf", "compare"]

Maps = NDArray[np.float32]
Explain = Callable[[Trace], Attribution]


@dataclass(frozen=True)
class MapOf:
    """What one map of a comparison is of."""

    method: str
    target: str
    layer: int
    image: int = 0


@dataclass(frozen=True, eq=False)
class Comparison:
    """Maps of one grid, and how far they agree.

    Attributes
    ----------
    maps : array
        [item, row, col], float32, as the explainers gave them: not normalised.
    items : tuple of MapOf
        What each map is of.
    rank_correlation : array
        [item, item], Spearman's: 1 where two maps put the patches in the same order, -1 in the
        opposite one; NaN where a map is the same everywhere.
    left_out : dict
        Methods that were not asked for by name and do not work here, with the reason.
    """

    maps: Maps
    items: tuple[MapOf, ...]
    rank_correlation: NDArray[np.float64]
    left_out: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(
        cls, maps: Maps, items: Sequence[MapOf], left_out: Mapping[str, str] | None = None
    ) -> Comparison:
        """Compare maps that are there already, [item, row, col]."""
        maps = np.asarray(maps, np.float32)
        return cls(maps, tuple(items), rank_correlation(maps), dict(left_out or {}))

    def __len__(self) -> int:
        return len(self.items)

    def __repr__(self) -> str:
        parts = " and ".join(self.differ) or "nothing"
        return f"Comparison({len(self)} maps that differ in {parts})"

    @property
    def differ(self) -> tuple[str, ...]:
        """In what the maps differ: some of "image", "target", "method", "layer"."""
        parts = ("image", "target", "method", "layer")
        return tuple(p for p in parts if len({getattr(item, p) for item in self.items}) > 1)

    @property
    def names(self) -> tuple[str, ...]:
        """A name for each map, of what it does not share with all others."""
        words = {"image": "image {}", "target": "{}", "method": "{}", "layer": "layer {}"}
        parts = self.differ or ("method",)
        return tuple(
            ", ".join(words[part].format(getattr(item, part)) for part in parts)
            for item in self.items
        )

    @property
    def one_unit(self) -> bool:
        """Whether the values can be compared: maps of one method can, of several cannot."""
        return "method" not in self.differ

    @property
    def agreement(self) -> NDArray[np.float64]:
        """[item], each map's mean rank correlation with the others; NaN where there is none."""
        others = np.where(np.eye(len(self), dtype=bool), np.nan, self.rank_correlation)
        known = np.isfinite(others).sum(1)
        total = np.nansum(others, 1)
        return np.divide(total, known, out=np.full(len(self), np.nan), where=known > 0)

    def to_dataframe(self) -> Any:
        """The rank correlations as a square table. Needs pandas."""
        import pandas as pd

        return pd.DataFrame(self.rank_correlation, index=self.names, columns=self.names)

    def plot(self, scale: str | None = None) -> Any:
        """The maps as small multiples, and their rank correlations. Needs matplotlib.

        Parameters
        ----------
        scale : {"shared", "own", "rank"}, optional
            One colour scale for all, one for each, or patches by rank; shared for maps of one
            method, own for several, whose units differ.

        Returns
        -------
        matplotlib.figure.Figure
        """
        from .comparison_plot import plot_comparison

        return plot_comparison(self, scale)


def compare(
    model: nn.Module | VisionTransformer | Trace,
    images: Any = None,
    methods: str | Sequence[str] | Mapping[str, Explain] | None = None,
    targets: Any = None,
    layer: int | Sequence[int] | None = -1,
    *,
    progress: Progress | None = None,
) -> Comparison:
    """Put maps beside each other: every combination of methods, targets, layers and images.

    Parameters
    ----------
    model : nn.Module or Trace
        A model with ``images``, or a trace, which is used as it is: further targets cost a backward
        pass each, and no forward pass.
    images : image, list, data set or loader, optional
        May yield (image, label).
    methods : str, sequence of str, or mapping, optional
        Names of explainers, or ``{name: function of a trace}``. None takes every explainer, and
        leaves out those that do not work with this model, see :attr:`Comparison.left_out`.
    targets : optional
        A class by index or name, or a callable on logits; or a list of these. None is the trace's
        own target; for images their labels, or else what the model predicts.
    layer : int or sequence of int, optional
        After which layer, -1 after the last; None is each layer.
    progress : callable, optional
        Called with (fraction, label); it may raise
        :class:`~vit_attention_widget.errors.JobCancelled`.

    Returns
    -------
    Comparison

    Raises
    ------
    ParameterError, TargetError, ImageError, UnsupportedModelError, CaptureError

    Notes
    -----
    Methods have different units, so their maps compare by rank, not by value. A high correlation
    shows that two maps agree, not that either is right; between different images it shows that a
    map depends little on what is seen.

    Examples
    --------
    >>> import vit_attention_widget as vaw
    >>> found = vaw.trace(vaw.demo.load_model(), vaw.demo.scene(seed=1).image)
    >>> vaw.compare(found, methods=["daam", "legrad", "rollout"]).names
    ('daam', 'legrad', 'rollout')
    >>> best = found.probabilities[0].topk(3).indices
    >>> vaw.compare(found, methods="daam", targets=best).maps.shape
    (3, 10, 10)
    >>> vaw.compare(found, methods="daam", layer=None).differ
    ('layer',)
    """
    asked, required = _methods(methods)
    wanted = _targets(targets)
    given = _Given.of(model, images)
    layers = _layers(given.vit, layer)
    report = progress or _no_progress
    maps: list[Maps] = []
    items: list[MapOf] = []
    refused: dict[str, Exception] = {}
    total = max(1, given.count * len(wanted) * len(asked))
    done = 0
    for first, found in given.traces():
        classless: dict[str, Attribution] = {}
        for target in wanted:
            aimed = _aimed(found, target)
            for name, explain in asked.items():
                report(done / total, f"comparing maps, {name}")
                done += 1
                if name in refused:
                    continue
                try:
                    known = classless[name] if name in classless else explain(aimed)
                except (TargetError, UnsupportedModelError, CaptureError) as error:
                    if required:
                        raise
                    refused[name] = error
                    continue
                if known.target == "any class":
                    classless[name] = known
                for index in range(found.batch_size):
                    for at in layers:
                        maps.append(_array(known.values[index, at]))
                        items.append(MapOf(name, _class_of(aimed, index), at, first + index))
    kept = [i for i, item in enumerate(items) if item.method not in refused]
    if not kept:
        raise next(iter(refused.values()))
    kept.sort(key=lambda i: items[i].image)  # a trace of several images gave them side by side
    if len({maps[i].shape for i in kept}) > 1:
        raise ImageError(
            "The images differ in size after preprocessing, so their maps have other patches: "
            "compare images of one size."
        )
    reasons = {name: str(error) for name, error in refused.items()}
    return Comparison.of(np.stack([maps[i] for i in kept]), [items[i] for i in kept], reasons)


@dataclass(frozen=True)
class _Given:
    """What is looked at: one trace that is there, or a trace an image, made one by one."""

    vit: VisionTransformer
    trace: Trace | None
    inputs: list[tuple[Tensor, int | None]]

    @classmethod
    def of(cls, model: Any, images: Any) -> _Given:
        if isinstance(model, Trace):
            if images is not None:
                raise ParameterError(
                    "A trace was given and images too: a trace has its own images, so give a "
                    "model with images, or the trace alone."
                )
            return cls(model.model, model, [])
        if images is None:
            raise ParameterError("There are no images: give compare(model, image), or a trace.")
        vit = describe(model)
        return cls(vit, None, kept_inputs(vit, images))

    @property
    def count(self) -> int:
        return 1 if self.trace is not None else len(self.inputs)

    def traces(self) -> Iterator[tuple[int, Trace]]:
        """The number of a trace's first image, and the trace."""
        if self.trace is not None:
            yield 0, self.trace
        for index, (image, label) in enumerate(self.inputs):
            yield index, trace(self.vit, image, label)


def _aimed(found: Trace, target: Any) -> Trace:
    """The trace itself where it explains that class already, so that it need not go back again."""
    if target is None:
        return found
    index = resolve(target, found.logits, found.model).index
    return found if index is not None and index == found.target.index else found.retarget(target)


def _class_of(found: Trace, image: int) -> str:
    index = found.target.index
    return found.target.name if index is None else found.model.class_name(index[image])


def _methods(methods: Any) -> tuple[dict[str, Explain], bool]:
    """Explainers by name, and whether each of them must work."""
    if methods is None:
        return dict(METHODS), False
    if isinstance(methods, Mapping) and methods and all(callable(f) for f in methods.values()):
        return dict(methods), True
    names = [methods] if isinstance(methods, str) else methods
    if not isinstance(names, Sequence) or not names:
        raise ParameterError(
            f"methods is {methods!r}: give names of explainers, e.g. ['daam', 'rollout']."
        )
    for name in names:
        if name not in METHODS:
            raise ParameterError(f"There is no method {name!r}: choose from {', '.join(METHODS)}.")
    return {name: METHODS[name] for name in names}, True


def _targets(targets: Any) -> list[Any]:
    if isinstance(targets, Tensor | np.ndarray):
        targets = targets.tolist()
    if isinstance(targets, Sequence) and not isinstance(targets, str):
        if not targets:
            raise ParameterError("The list of targets is empty: give at least one, or None.")
        return list(targets)
    return [targets]


def _layers(vit: VisionTransformer, layer: Any) -> list[int]:
    if layer is None:
        return list(range(vit.num_layers))
    chosen = list(layer) if isinstance(layer, Sequence | np.ndarray) else [layer]
    if not chosen:
        raise ParameterError("The list of layers is empty: give at least one, or None for all.")
    ends = {-1 - i: vit.num_layers - 1 - i for i in range(vit.num_layers)}
    return [layer_index(vit, ends.get(at, at) if isinstance(at, int) else at) for at in chosen]


def _array(values: Tensor) -> Maps:
    found: Maps = values.detach().float().cpu().numpy()
    return found


def _no_progress(fraction: float, label: str) -> None:
    return None
