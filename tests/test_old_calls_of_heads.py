"""What used to be said of heads is understood for one release."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from models import BY_NAME
from renamed import warned

import vit_attention_widget as vaw
from vit_attention_widget.errors import ParameterError

TINY = BY_NAME["vit"]
MODEL, INPUTS = TINY.build(), TINY.inputs(2)

# By another name: type checkers know the new signatures only.
head_importance: Any = vaw.head_importance
pruning_curve: Any = vaw.pruning_curve
partial_pruning: Any = vaw.partial_pruning
image_overview: Any = vaw.image_overview
attention_strength: Any = vaw.attention_strength


def test_a_metric_after_the_images() -> None:
    message = (
        "head_importance(model_or_trace, images, metric, target) is now "
        "head_importance(model_or_trace, images, target, metric=...)"
    )
    expected = vaw.head_importance(MODEL, INPUTS, [1, 2], metric=["jsd", "taylor"])
    with warned(message):
        old = head_importance(MODEL, INPUTS, ["jsd", "taylor"], [1, 2])
    assert old.metrics == expected.metrics
    assert torch.equal(old["taylor"], expected["taylor"])
    with warned(message):
        old = head_importance(MODEL, INPUTS, "jsd", target=[1, 2])
    assert torch.equal(old.values, expected.values)
    with warned(message):
        assert head_importance(vaw.trace(MODEL, INPUTS), None, "taylor").metric == "taylor"
    with warned(message.replace("head_importance", "head_importance_steps")):
        *_, old = vaw.head_importance_steps(MODEL, INPUTS, "jsd")
    with pytest.raises(ParameterError, match=r"images, target, metric=\.\.\."):
        head_importance(MODEL, INPUTS, [1, 2], "jsd")
    with warned(message.replace("head_importance", "image_overview").replace("_or_trace", "")):
        assert image_overview(MODEL, INPUTS, "taylor").importance.metric == "taylor"


def test_the_class_tokens_cosine() -> None:
    expected = vaw.head_importance(MODEL, INPUTS, metric="class_token_cosine")
    with warned("metric='cls_cosine' is now metric='class_token_cosine'"):
        old = vaw.head_importance(MODEL, INPUTS, metric="cls_cosine")  # type: ignore[arg-type]
    assert torch.equal(old.values, expected.values)
    with warned("metric='cls_cosine' is now metric='class_token_cosine'"):
        assert torch.equal(expected["cls_cosine"], expected.values)  # type: ignore[index]
    with warned("order='cls_cosine' is now order='class_token_cosine'"):
        vaw.pruning_curve(MODEL, INPUTS, order="cls_cosine", steps=1)  # type: ignore[arg-type]
    with warned("metric='cls_cosine' is now metric='class_token_cosine'"):
        session = vaw.Session(MODEL, TINY.inputs(1), metric="cls_cosine")
    assert session.metric == "class_token_cosine"
    session.close()


def test_a_function_that_is_told_of_every_step() -> None:
    steps: list[vaw.HeadImportance] = []
    with warned("head_importance(on_update=...) is now a loop over head_importance_steps(...)"):
        importance = vaw.head_importance(MODEL, INPUTS, on_update=steps.append)
    assert len(steps) == 3
    assert torch.equal(steps[-1].values, importance.values)


@pytest.mark.parametrize("order", ["random", [(0, 1), (2, 0)], "importance"])
def test_an_order_after_the_images(order: Any) -> None:
    if order == "importance":
        order = vaw.head_importance(MODEL, INPUTS, metric="taylor")
    expected = vaw.pruning_curve(MODEL, INPUTS, [1, 2], order=order, steps=2)
    with warned(
        "pruning_curve(model_or_trace, images, order, target) is now "
        "pruning_curve(model_or_trace, images, target, order=...)"
    ):
        curve = pruning_curve(MODEL, INPUTS, order, [1, 2], steps=2)
    assert curve.rows() == expected.rows()


def test_a_layer_and_a_head_after_the_images() -> None:
    expected = vaw.partial_pruning(MODEL, INPUTS, [1, 2], layer=2, head=1)
    message = (
        "partial_pruning(model_or_trace, images, layer, head, target) is now "
        "partial_pruning(model_or_trace, images, target, layer=..., head=...)"
    )
    with warned(message):
        old = partial_pruning(MODEL, INPUTS, 2, 1, [1, 2])
    assert torch.equal(old.probability, expected.probability)
    with warned(message):
        old = partial_pruning(vaw.trace(MODEL, INPUTS, [1, 2]), None, 2, 1)
    assert torch.equal(old.probability, expected.probability)
    with pytest.raises(ParameterError, match=r"images, target, layer=\.\.\., head=\.\.\."):
        partial_pruning(MODEL, INPUTS, 2)  # a class or a layer?


def test_keywords_of_old() -> None:
    trace = vaw.trace(MODEL, INPUTS)
    expected = vaw.attention_strength(trace, renormalize=False)
    with warned("attention_strength(renormalise=...) is now attention_strength(renormalize=...)"):
        old = attention_strength(trace, renormalise=False)
    assert torch.equal(old.distance, expected.distance)
    with warned("head_importance(model=...) is now head_importance(model_or_trace=...)"):
        head_importance(model=trace)


def test_a_metric_of_a_plot_and_what_stopped_it() -> None:
    importance: Any = vaw.head_importance(MODEL, INPUTS, metric=["taylor", "jsd"])
    with warned("HeadImportance.plot(metric) is now HeadImportance.plot(metric=...)"):
        axes = importance.plot("jsd")
    with warned("HeadImportance.plot(metric) is now HeadImportance.plot(metric=...)"):
        assert importance.plot("jsd", ax=axes) is axes
    assert "jsd" in axes.figure.axes[1].get_ylabel()
    with warned("HeadImportance.stopped is now HeadImportance.error"):
        assert importance.stopped is None
