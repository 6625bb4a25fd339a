"""What traces say, in the form in which the browser takes it."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from ..importance.metrics import NEED_A_CLASS, Metric, lacking
from ..models import VisionTransformer, takes_prompts
from ..models.output_kind import OutputKind
from ..models.token_layout import TokenLayout
from ..protocol.schema.results import (
    Choice,
    Decision,
    DecisionRow,
    ModelInfo,
    PartialPruning,
)
from ..protocol.schema.selections import Direction, Head
from ..protocol.schema.tensors import AttentionLayer, AttentionRows, RowsMetadata
from ..protocol.tensors import encode, quantize
from ..pruning.partial import result as partial_result
from ..tracing.trace import Trace

__all__ = [
    "CLASS_AGNOSTIC",
    "METHOD_HINTS",
    "METRIC_HINTS",
    "attention_layer",
    "attention_rows",
    "decision",
    "decision_rows",
    "metrics_of",
    "model_info",
    "partial",
    "picture_bytes",
]

METHOD_HINTS = {
    "daam": ("DAAM", "What each patch gave the class token, weighted by its gradient, added up "
             "layer by layer. Liao et al. 2025."),
    "legrad": ("LeGrad", "How each layer's attention would move the decision read out from that "
               "layer. Bousselham et al. 2024."),
    "gmar": ("GMAR", "Rollout with heads weighted by the size of their gradient. "
             "Jo et al. 2025."),
    "relevance": ("relevance", "Attention where it raises the class, carried through the layers. "
                  "Chefer et al. 2021."),
    "gradient_rollout": ("gradient rollout", "Rollout of attention times its gradient. After "
                         "Abnar and Zuidema 2020."),
    "gradcam": ("Grad-CAM", "What each layer is given, channels weighted by their gradient; each "
                "layer by itself. Selvaraju et al. 2017."),
    "attention_gradient": ("attention x gradient", "The class token's attention where it raises "
                           "the class, each layer by itself. After Chefer et al. 2021."),
    "rollout": ("rollout", "Attention multiplied through the layers. Class-agnostic. "
                "Abnar and Zuidema 2020."),
    "attention": ("attention", "Raw attention of the class token, each layer by itself. "
                  "Class-agnostic."),
    "integrated_gradients": ("integrated gradients", "The change from the mean color to this "
                             "picture, shared out among the patches; of the whole model. Runs the "
                             "model 32 times. Sundararajan et al. 2017."),
    "occlusion": ("occlusion", "How far the class falls when a patch is hidden; of the whole "
                  "model. Runs the model once a patch. Zeiler and Fergus 2014."),
}  # fmt: skip

CLASS_AGNOSTIC = {name: METHOD_HINTS[name] for name in ("rollout", "attention")}
"""Methods for a model without a classifier: nothing is decided that a gradient could explain."""

METRIC_HINTS: dict[Metric, tuple[str, str]] = {
    "probability": ("probability", "How much the class's probability falls when the head is "
                    "removed; exact, one run a head. Li et al. 2023."),
    "jsd": ("divergence", "How far all probabilities move when the head is removed: "
            "Jensen-Shannon divergence, 0 to 0.69."),
    "class_token_cosine": ("class token", "How far the class token (or what is pooled) turns in "
                           "the head's own layer when the head is removed: 1 - cosine."),
    "loss": ("loss", "How much the cross-entropy of the class rises when the head is removed."),
    "taylor": ("gradient", "First-order estimate for all heads from one backward pass. "
               "Michel et al. 2019."),
}  # fmt: skip

_HINTS_BY_OUTPUT: dict[OutputKind, dict[Metric, tuple[str, str]]] = {
    "sigmoid": {
        "jsd": ("divergence", "How far the probability of each class moves when the head is "
                "removed: Jensen-Shannon divergence, their mean, 0 to 0.69."),
        "loss": ("loss", "How much the binary cross-entropy of the class's presence rises when "
                 "the head is removed."),
    },
    "value": {
        "probability": ("value", "How much the value falls when the head is removed; exact, one "
                        "run a head."),
    },
}  # fmt: skip
"""Where they say something else of another kind of output."""


def metrics_of(vit: VisionTransformer, explains: bool, by_class: bool) -> list[Metric]:
    """Metrics of head importance that there are: most need a class, or something to explain."""
    without: set[Metric] = set() if by_class else set(NEED_A_CLASS)
    without |= set(lacking(vit.output))
    without |= set() if explains else {"taylor"}
    return [name for name in METRIC_HINTS if name not in without]


def model_info(
    vit: VisionTransformer,
    tokens: TokenLayout,
    image_name: str,
    preparation: str,
    explains: bool,
    by_class: bool,
    set_size: int,
    other_models: Iterable[str],
) -> ModelInfo:
    """What the views must know of the model, the input, and of what is explained."""
    hints = METRIC_HINTS | _HINTS_BY_OUTPUT.get(vit.output, {})
    metrics = {str(name): hints[name] for name in metrics_of(vit, explains, by_class)}
    height, width = tokens.picture or (tokens.image_height, tokens.image_width)
    return {
        "name": vit.name,
        "image_name": image_name,
        "preparation": preparation,
        "num_layers": vit.num_layers,
        "num_heads": list(vit.num_heads),
        "prefix": list(tokens.prefix),
        "rows": tokens.rows,
        "cols": tokens.cols,
        "num_tokens": tokens.num_tokens,
        "image_width": width,
        "image_height": height,
        "area": list(tokens.area),
        "class_names": vit.class_names,
        "num_classes": vit.num_classes,
        "output": vit.output,
        "takes_prompts": takes_prompts(vit),
        "by_class": by_class,
        "methods": _choices(METHOD_HINTS if explains else CLASS_AGNOSTIC),
        "class_agnostic": list(CLASS_AGNOSTIC),
        "metrics": _choices(metrics),
        "set_size": set_size,
        "other_models": list(other_models),
    }


def _choices(hints: Mapping[str, tuple[str, str]]) -> list[Choice]:
    return [{"key": k, "label": label, "hint": hint} for k, (label, hint) in hints.items()]


def picture_bytes(picture: Image.Image) -> bytes:
    """A JPEG of what the model sees, at most 448 pixels a side."""
    picture = picture.copy()
    picture.thumbnail((448, 448), Image.Resampling.LANCZOS)
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=90)
    return stream.getvalue()


def attention_rows(
    trace: Trace, token: int, direction: Direction, layers: range | None = None
) -> bytes:
    """Attention of one token in every head: ``rows`` [layer, head, token], ``scale``.

    Of all layers, or of some that follow each other.
    """
    layers = range(trace.num_layers) if layers is None else layers
    widest = max(trace.num_heads)
    rows = np.zeros((len(layers), widest, trace.tokens.num_tokens), np.float32)
    for i, layer in enumerate(layers):
        rows[i, : trace.num_heads[layer]] = _row(trace, layer, token, direction)
    quantized, scale = quantize(rows)
    tensors: AttentionRows = {"rows": quantized, "scale": scale}
    metadata: RowsMetadata = {
        "token": token,
        "direction": direction,
        "first_layer": layers.start,
    }
    return encode(tensors, metadata)


def _row(trace: Trace, layer: int, token: int, direction: Direction) -> NDArray[np.float32]:
    if direction == "attends_to":
        rows = trace.attention(layer, query=token)[0]
    else:
        rows = torch.cat([a[0, :, :, token] for _, a in trace.attention_chunks(layer)], -1)
    return _array(rows)


def attention_layer(trace: Trace, layer: int) -> bytes:
    """Attention of every head of a layer: ``attention`` [head, query, key], ``scale``."""
    quantized, scale = quantize(_array(trace.attention(layer)[0]))
    tensors: AttentionLayer = {"attention": quantized, "scale": scale}
    return encode(tensors)


def decision(
    before: Trace, after: Trace | None, pruned: Iterable[Head], follows_prediction: bool
) -> Decision:
    """The five best classes with every head in place, and the five best without the pruned ones.

    What is explained comes first: the probability of a class (of a model of values the value), or
    the value of another target.
    """
    target, vit = before.target, before.model
    return {
        "target": target.index[0] if target.index else -1,
        "target_name": target.name,
        "follows_prediction": follows_prediction,
        "target_before": _value(before),
        "target_after": None if after is None else _value(after),
        "pruned": list(pruned),
        "rows": _likely(before, after) if vit.has_classes else [],
    }


def _value(trace: Trace) -> float:
    index = trace.target.index
    with torch.no_grad():
        return float(trace.probabilities[0, index[0]] if index else trace.score.detach()[0])


def _likely(before: Trace, after: Trace | None) -> list[DecisionRow]:
    return decision_rows(before, None if after is None else after.probabilities[0])


def decision_rows(before: Trace, q: torch.Tensor | None) -> list[DecisionRow]:
    """The five likeliest classes of a trace, and by the probabilities ``q`` [class] after."""
    vit, index = before.model, before.target.index
    p = before.probabilities[0]
    count = min(5, len(p))
    best = p.topk(count).indices.tolist()
    if q is not None:
        best += [i for i in q.topk(count).indices.tolist() if i not in best]
    best += [i for i in index or () if i not in best]
    rows: list[DecisionRow] = [
        {
            "index": i,
            "name": vit.class_name(i),
            "before": float(p[i]),
            "after": None if q is None else float(q[i]),
        }
        for i in best
    ]
    return sorted(rows, key=_probability_now, reverse=True)


def _probability_now(row: DecisionRow) -> float:
    return row["before"] if row["after"] is None else row["after"]


def partial(pruning: partial_result.PartialPruning) -> PartialPruning:
    """The modes of partial pruning of one head, each with its picture and best classes."""
    return {
        "layer": pruning.layer,
        "head": pruning.head,
        "rows": [
            {
                "mode": mode,
                "zeroed": pruning.zeroed(mode),
                "probability": float(pruning.probability[i, 0]),
                "top5": list(pruning.top5[i][0]),
            }
            for i, mode in enumerate(pruning.modes)
        ],
    }


def _array(values: torch.Tensor) -> NDArray[np.float32]:
    array: NDArray[np.float32] = values.detach().float().cpu().numpy()
    return array
