"""What the views must know of the model, the image, and of what is explained."""

from __future__ import annotations

from ..importance.metrics import Metric
from . import payloads
from .context import Context

__all__ = ["describe_subject", "metrics"]


def describe_subject(context: Context) -> None:
    """Publish ``_model_info``, and select a method and a metric that there are for it."""
    traits, subject, images = context.traits, context.subject, context.image_set
    traits._model_info = payloads.model_info(
        context.vit,
        subject.tokens,
        context.image_name,
        subject.vit.says_preparation(subject.image),
        context.explains,
        context.explains_class,
        0 if images is None else len(images),
        context.other_models,
    )
    with context.quietly():
        if not context.explains and traits.method not in payloads.CLASS_AGNOSTIC:
            traits.method = "rollout"
        available = metrics(context)
        if traits.metric not in available:
            traits.metric = available[0]


def metrics(context: Context) -> list[Metric]:
    """Metrics of head importance that there are for what is explained."""
    return payloads.metrics_of(context.vit, context.explains, context.explains_class)
