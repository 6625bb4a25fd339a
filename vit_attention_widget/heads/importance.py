"""How much each head matters for a decision: what changes when it is removed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import ParameterError
from ..selection import Heads
from ..trace import Progress, Trace, trace
from ..vision_transformers import VisionTransformer, describe
from .leave_one_out import leave_one_out

__all__ = ["METRICS", "HeadImportance", "head_importance", "taylor"]

METRICS = ("probability", "taylor")


@dataclass(frozen=True)
class HeadImportance:
    """Importance of every head.

    Attributes
    ----------
    values : Tensor
        [batch, layer, head]; NaN where a layer has fewer heads than the widest one, or where the
        head was pruned before.
    baseline : Tensor
        [batch], the probability of the target class with every head in place (the target itself
        where it is not a class).
    metric : str
        ``"probability"``: baseline minus the probability without the head, in [-1, 1]; above 0
        where removing the head hurts. ``"taylor"``: a first-order estimate, at least 0.
    target : str
    """

    values: Tensor
    baseline: Tensor
    metric: str
    target: str

    def to_dataframe(self) -> Any:
        """One row a head: image, layer, head, importance. Needs pandas."""
        import pandas as pd

        batch, layers, heads = self.values.shape
        index = pd.MultiIndex.from_product(
            [range(batch), range(layers), range(heads)], names=["image", "layer", "head"]
        )
        frame = pd.DataFrame({"importance": self.values.flatten().tolist()}, index=index)
        return frame.dropna().reset_index()


def head_importance(
    model: nn.Module | VisionTransformer,
    images: Any,
    metric: str = "probability",
    target: Any = None,
    *,
    head_mask: Heads | None = None,
    max_batch: int | None = None,
    progress: Progress | None = None,
    on_layer: Callable[[int, Tensor], None] | None = None,
) -> HeadImportance:
    r"""Importance of every head of a model for a class of an image.

    ``"probability"`` removes one head at a time (its output is zeroed before the output
    projection) and takes the fall of the target's probability (Li et al. 2023, section 5.1). It
    is exact, and never repeats the layers below the removed head. ``"taylor"`` estimates all
    heads from one backward pass: :math:`|\sum O \, \partial y / \partial O|` (Michel et al. 2019,
    eq. 1, with y the target's logit).

    Parameters
    ----------
    model : nn.Module
    images : image, float tensor, or list of images
    metric : {"probability", "taylor"}
    target : optional
        A class index or name, or one per image; None is the predicted class.
    head_mask : dict, optional
        ``{layer: [heads]}`` that are pruned already.
    max_batch : int, optional
        At most so many images of one head fewer run at once; by default 64.
    progress : callable, optional
        Called with (fraction, label); it may raise
        :class:`~vit_attention_widget.errors.JobCancelled`.
    on_layer : callable, optional
        Called with (layer, values [batch, head]) as soon as a layer is done.

    Returns
    -------
    HeadImportance

    Raises
    ------
    ParameterError, TargetError, ImageError, UnsupportedModelError

    Examples
    --------
    >>> import vit_attention_widget as vaw
    >>> model = vaw.demo.load_model()
    >>> found = vaw.head_importance(model, vaw.demo.scene(seed=1).image)
    >>> found.values.shape == (1, len(model.blocks), model.blocks[0].attn.num_heads)
    True
    """
    if metric not in METRICS:
        raise ParameterError(f"The metric is {metric!r}: choose one of {', '.join(METRICS)}.")
    if max_batch is not None and max_batch < 1:
        raise ParameterError(f"max_batch is {max_batch}: at least 1 image must run at once.")
    vit = describe(model)
    taylor_only = metric == "taylor"
    found = trace(
        vit,
        images,
        target,
        head_mask=head_mask,
        gradients=taylor_only,
        progress=progress if taylor_only else None,
    )
    if taylor_only:
        values = taylor(found)
        if on_layer is not None:
            for layer in range(found.num_layers):
                on_layer(layer, values[:, layer])
    else:
        values = leave_one_out(found, max_batch=max_batch, progress=progress, on_layer=on_layer)
    if found.target.index is None:
        baseline = found.target.score(found.logits)
    else:
        baseline = target_probability(found)
    return HeadImportance(values, baseline, metric, found.target.name)


def taylor(trace: Trace) -> Tensor:
    """First-order estimate of every head's importance, [batch, layer, head], at least 0."""
    widest = max(trace.num_heads)
    # float32 at least: half precision would round most differences away
    values = trace.probabilities.new_full((trace.batch_size, trace.num_layers, widest), torch.nan)
    for layer, record in enumerate(trace.layers):
        product = record.out.detach().to(values) * trace.output_gradient(layer)
        values[:, layer, : record.out.shape[1]] = product.sum((-2, -1)).abs()
    for layer, heads in trace.head_mask.items():
        values[:, layer, list(heads)] = torch.nan
    return values


def target_probability(trace: Trace) -> Tensor:
    """Probability of the target class of each image, [batch].

    Raises
    ------
    ParameterError
        If the target is not a class.
    """
    index = trace.target.index
    if index is None:
        raise ParameterError(
            f"The target {trace.target.name!r} is not a class, so it has no probability: "
            'give a class index or name, or choose metric="taylor".'
        )
    return trace.probabilities[torch.arange(trace.batch_size), list(index)]
