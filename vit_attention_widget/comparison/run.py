"""Make maps that stand beside each other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from ..data.image_sets import kept_inputs, read_once
from ..errors import CaptureError, ImageError, ParameterError, TargetError, UnsupportedModelError
from ..explainers import METHODS, Attribution
from ..models import VisionTransformer, describe
from ..models.head_index import layer_index
from ..support.progress import Progress, no_progress
from ..targets import resolve
from ..tracing.run import trace
from ..tracing.trace import Trace
from .result import Comparison, MapOf, Maps

__all__ = ["compare", "on_one_grid"]

Explain = Callable[[Trace], Attribution]


def compare(
    model: nn.Module | VisionTransformer | Trace | Mapping[str, nn.Module],
    images: Any = None,
    methods: str | Sequence[str] | Mapping[str, Explain] | None = None,
    targets: Any = None,
    layer: int | Sequence[int] | None = -1,
    *,
    progress: Progress | None = None,
) -> Comparison:
    """Put maps beside each other: every combination of models, methods, targets, layers, images.

    Parameters
    ----------
    model : nn.Module, Trace, or mapping
        A model with ``images``, or several as ``{name: model}``; or a trace, which is used as it
        is: further targets cost a backward pass each, and no forward pass.
    images : image, list, data set or loader, optional
        May yield (image, label).
    methods : str, sequence of str, or mapping, optional
        Names of explainers, or ``{name: function of a trace}``. None takes every explainer, and
        leaves out those that do not work with this model, see :attr:`Comparison.skipped`.
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
    map depends little on what is seen. Maps of models with other patches are brought to the finest
    grid among them, bilinearly; each model prepares the image itself, so where it crops another
    part, places differ.

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
    given = _given(model, images)
    report = progress or no_progress
    maps: list[Maps] = []
    items: list[MapOf] = []
    refused: dict[str, Exception] = {}
    total = max(1, sum(each.count for each in given) * len(wanted) * len(asked))
    done = 0
    for of, first, found in ((each.name, *pair) for each in given for pair in each.traces()):
        layers = _layers(found.model, layer)
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
                        items.append(MapOf(name, _class_of(aimed, index), at, first + index, of))
    kept = [i for i, item in enumerate(items) if item.method not in refused]
    if not kept:
        raise next(iter(refused.values()))
    kept.sort(key=lambda i: items[i].image)  # a trace of several images gave them side by side
    chosen = [maps[i] for i in kept]
    if len(given) == 1 and len({values.shape for values in chosen}) > 1:
        raise ImageError(
            "The images differ in size after preprocessing, so their maps have other patches: "
            "compare images of one size."
        )
    reasons = {name: str(error) for name, error in refused.items()}
    return Comparison.of(on_one_grid(chosen), [items[i] for i in kept], reasons)


def on_one_grid(maps: Sequence[Maps]) -> Maps:
    """Maps [row, col] of any sizes as [item, row, col] on the finest grid, bilinearly."""
    size = tuple(max(values.shape[axis] for values in maps) for axis in (0, 1))
    if all(values.shape == size for values in maps):
        return np.stack(maps)
    tensors = (torch.from_numpy(values)[None, None] for values in maps)
    found: Maps = torch.cat([interpolate(t, size, mode="bilinear")[0] for t in tensors]).numpy()
    return found


def _given(model: Any, images: Any) -> list[_Given]:
    """What is looked at, model by model."""
    if not isinstance(model, Mapping):
        return [_Given.of(model, images)]
    if not model:
        raise ParameterError("There are no models: give {name: model} with at least one.")
    many = read_once(images)
    return [_Given.of(each, many, name) for name, each in model.items()]


@dataclass(frozen=True)
class _Given:
    """What is looked at: one trace that is there, or a trace an image, made one by one."""

    vit: VisionTransformer
    trace: Trace | None
    inputs: list[tuple[Tensor, int | None]]
    name: str = ""

    @classmethod
    def of(cls, model: Any, images: Any, name: str = "") -> _Given:
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
        return cls(vit, None, kept_inputs(vit, images), name)

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
    return [layer_index(vit, each) for each in chosen]


def _array(values: Tensor) -> Maps:
    found: Maps = values.detach().float().cpu().numpy()
    return found
