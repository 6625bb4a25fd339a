"""Read out every layer's tokens by the model's own norm and head."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import NamedTuple, SupportsIndex

import torch
from torch import Tensor, nn

from ..errors import ParameterError, UnsupportedModelError
from ..models import VisionTransformer
from ..models.images import ImageLike
from ..models.output_kind import probabilities
from ..targets.user_target import TargetLike
from ..tracing.model_or_trace import as_trace
from ..tracing.trace import Trace
from .result import LogitLens
from .token_head import token_head

__all__ = ["logit_lens"]

_LOGITS = 2**24
"""Logits that are held at a time: 64 MB in float32."""


def logit_lens(
    model_or_trace: nn.Module | VisionTransformer | Trace,
    images: ImageLike | Sequence[ImageLike] | None = None,
    target: TargetLike = None,
    *,
    k: SupportsIndex = 5,
    tokens: bool = True,
) -> LogitLens:
    r"""What each layer, and each token in it, would decide through the model's norm and head.

    :math:`p_l = \mathrm{softmax}\big(\mathrm{head}(\mathrm{norm}(\mathrm{readout}(z_l)))\big)` with
    :math:`z_l` the tokens after layer l, as if the layers above did nothing; and the same of each
    token alone (nostalgebraist, *interpreting GPT: the logit lens*, 2020; for the patches of
    classifiers Vilas et al., *Analyzing Vision Transformers for Image Classification in Class
    Embedding Space*, NeurIPS 2023, arXiv 2310.18969).

    Parameters
    ----------
    model_or_trace : nn.Module or Trace
        A trace already knows its images and target.
    images : image, float tensor, or list of images
    target : optional
        As for :func:`~vit_attention_widget.trace`; followed through the layers beside the best.
    k : int
        How many of the most probable classes to keep.
    tokens : bool
        Whether to read out each token alone too.

    Returns
    -------
    LogitLens
        ``values`` and ``classes`` [image, layer, token, rank], the readout before the tokens.

    Raises
    ------
    UnsupportedModelError
        If the model has no classes, if its norm and head are not all that it does with the tokens
        of its last block, or, with ``tokens``, if it cannot be read out for one token alone (it
        pools by attention).
    ParameterError
        If ``k`` is less than 1.

    Notes
    -----
    After the last layer the readout's probabilities are the model's own. What a token by itself
    decides is what the model would decide if all its tokens were this one. By the model's kind of
    output, values are a softmax, sigmoids, or the numbers themselves. Norm and head were trained
    for the last layer, so what lower layers say by them is little to go by.

    Examples
    --------
    >>> import vit_attention_widget as vaw
    >>> lens = vaw.logit_lens(vaw.demo.load_model(), vaw.demo.scene(seed=1).image, k=3)
    >>> lens.values.shape
    torch.Size([1, 6, 102, 3])
    """
    trace = as_trace(model_or_trace, images, target, gradients=False)
    vit = trace.model
    count = operator.index(k) if hasattr(k, "__index__") else 0
    if count < 1:
        raise ParameterError(f"k is {k!r}: it is an integer of at least 1.")
    if not vit.has_classes:
        raise UnsupportedModelError(
            f"{vit.name} has no classes that a layer could decide on: give it prompts "
            "(vaw.zero_shot), or a model with a classifier."
        )
    with trace.rerunning(), torch.inference_mode(False), torch.no_grad():
        trace.readout.check()
        head = token_head(trace) if tokens else None
        outputs = [record.output.detach() for record in trace.layers]
        readouts = [vit.readout(each) for each in outputs]
        layers = [
            _of_layer(trace, readout, each, head, count)
            for readout, each in zip(readouts, outputs, strict=True)
        ]
    values, classes, of_target = (torch.stack(each, 1) for each in zip(*layers, strict=True))
    layout = trace.tokens
    names = [layout.name(i) for i in range(layout.num_tokens)] if tokens else []
    return LogitLens(
        values,
        classes,
        of_target,
        probabilities(torch.stack(readouts, 1), vit.output),
        target=trace.target.name,
        tokens=("readout", *names),
        class_names=tuple((i, vit.class_name(i)) for i in classes.unique().tolist()),
        grid=(layout.rows, layout.cols),
        output=vit.output,
    )


class _OfLayer(NamedTuple):
    values: Tensor
    classes: Tensor
    of_target: Tensor


def _of_layer(
    trace: Trace,
    readout: Tensor,
    tokens: Tensor,
    head: Callable[[Tensor], Tensor] | None,
    count: int,
) -> _OfLayer:
    """The best classes of a layer, [image, token, rank], and the target, [image, token]."""
    parts = [_best(trace, readout[:, None], count)]
    if head is not None:
        size = max(1, _LOGITS // max(1, trace.batch_size * trace.logits.shape[1]))
        for part in tokens.split(size, 1):
            logits = head(part.flatten(0, 1)).unflatten(0, part.shape[:2])
            parts.append(_best(trace, logits, count))
    return _OfLayer(*(torch.cat(each, 1) for each in zip(*parts, strict=True)))


def _best(trace: Trace, logits: Tensor, count: int) -> _OfLayer:
    """The best classes of logits [image, token, logit], and the target."""
    each = probabilities(logits, trace.model.output)
    best = each.topk(min(count, each.shape[-1]))
    index = trace.target.index
    if index is not None:
        chosen = torch.tensor(index, device=each.device)[:, None, None]
        of_target = each.gather(-1, chosen.expand(-1, each.shape[1], 1))[..., 0]
    else:
        of_target = torch.stack([trace.target.score(one) for one in logits.unbind(1)], 1)
    return _OfLayer(best.values, best.indices, of_target.to(each))
