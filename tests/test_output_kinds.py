"""Classes that exclude each other, or are there or not; values; features: all follow the kind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from models import BY_NAME, randomise
from reference import output_kinds as literal
from torch import Tensor, nn
from twins import agree

import vit_attention_widget as vaw
from vit_attention_widget.errors import ParameterError, TargetError

INPUTS = BY_NAME["vit"].inputs(3, seed=4)

WIDTH = {"softmax": 5, "sigmoid": 5, "binary": 1, "value": 1, "values": 3}
SAID = {"binary": "sigmoid", "values": "value"}
LABELS = {
    "softmax": [1, 3, 0],
    "sigmoid": [1, 3, 0],
    "binary": [1, 0, 1],
    "value": [0, 0, 0],
    "values": [2, 0, 1],
}


def model_of(kind: str, dtype: torch.dtype = torch.float64) -> Any:
    model: Any = BY_NAME["vit"].create()
    model.head = nn.Linear(16, WIDTH[kind])
    randomise(model)
    return model.to(dtype).eval()


def described(kind: str, dtype: torch.dtype = torch.float64) -> Any:
    return vaw.describe(model_of(kind, dtype), output=SAID.get(kind, kind))


def literal_kind(kind: str) -> str:
    return "value" if kind == "values" else kind


def of_labels(each: list[list[float]], labels: list[int]) -> Tensor:
    return torch.tensor([each[i][c] for i, c in enumerate(labels)], dtype=torch.float64)


@pytest.fixture(params=list(WIDTH))
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_probabilities(kind: str) -> None:
    trace = vaw.trace(described(kind), INPUTS)
    expected = [literal.said(row, literal_kind(kind)) for row in trace.logits.tolist()]
    agree(trace.probabilities, torch.tensor(expected, dtype=torch.float64))
    best = torch.tensor(expected).argmax(-1).tolist()
    assert trace.target.index == tuple(best)


def test_importance_of_heads(kind: str) -> None:
    vit, labels = described(kind), LABELS[kind]
    expected = literal.importance(vit.model, INPUTS, labels, literal_kind(kind))
    importance = vaw.head_importance(vit, INPUTS, labels, metric=list(expected))
    for name, values in expected.items():
        agree(importance[name], values, 1e-8 if name == "jsd" else 1e-10)
    assert importance["probability"].abs().max() > 1e-3
    p = [literal.said(row, literal_kind(kind)) for row in vaw.trace(vit, INPUTS).logits.tolist()]
    agree(
        importance.baseline,
        torch.tensor([p[i][c] for i, c in enumerate(labels)], dtype=torch.float64),
    )


def test_pictures_say_what_is_drawn(tmp_path: Path) -> None:
    for kind, word in (("value", "value"), ("sigmoid", "probability")):
        importance = vaw.head_importance(described(kind), INPUTS)
        importance.save(tmp_path / "importance.safetensors")
        importance = vaw.HeadImportance.load(tmp_path / "importance.safetensors")
        assert importance.plot(kind="line").get_ylabel() == f"{word} without the head"
        curve = vaw.pruning_curve(described(kind), INPUTS, steps=1)
        assert curve.plot().get_ylabel() == word


@pytest.mark.parametrize("metric", ["jsd", "loss", "accuracy"])
def test_metrics_that_a_value_does_not_have(metric: Any) -> None:
    with pytest.raises(ParameterError, match=f'no {metric} of .* a value.*output="sigmoid"'):
        vaw.head_importance(described("value"), INPUTS, metric=metric)


def test_the_divergence_of_features_is_not_defined() -> None:
    model = BY_NAME["vit"].build()
    model.reset_classifier(0)
    target = vaw.targets.similarity(torch.ones(16))
    with pytest.raises(ParameterError, match=r"no jsd of .* features"):
        vaw.head_importance(model, INPUTS, target, metric="jsd")


def test_curves_and_their_order(kind: str) -> None:
    vit, labels = described(kind), LABELS[kind]
    curve = vaw.pruning_curve(vit, INPUTS, labels, order="probability", steps=2)
    importance = vaw.head_importance(vit, INPUTS, labels)
    moved = importance.mean().flatten()
    moved = moved.abs() if kind.startswith("value") else moved
    assert curve.order == [divmod(int(head), 2) for head in moved.argsort()[:2]]
    assert importance.ranking()[::-1][:2] == curve.order
    greedy = vaw.pruning_curve(vit, INPUTS, labels, order="greedy", steps=1)
    assert greedy.order == curve.order[:1]
    metrics = ["probability"] if kind.startswith("value") else ["probability", "accuracy"]
    for metric in metrics:
        curve = vaw.pruning_curve(vit, INPUTS, labels, order=curve.order, metric=metric, steps=2)
        for removed, value in zip(curve.removed, curve.values, strict=True):
            masked = vaw.trace(vit, INPUTS, head_mask=curve.order[:removed]).logits.tolist()
            each = [
                literal.said(row, literal_kind(kind))[label]
                if metric == "probability"
                else float(literal.is_picked(row, label, literal_kind(kind)))
                for row, label in zip(masked, labels, strict=True)
            ]
            assert value == pytest.approx(sum(each) / 3, abs=1e-6)
    if kind.startswith("value"):
        with pytest.raises(ParameterError, match=r"neither right nor wrong.*the value itself"):
            vaw.pruning_curve(vit, INPUTS, labels, metric="accuracy")


def test_parts_of_a_head(kind: str) -> None:
    vit, labels = described(kind), LABELS[kind]
    parts = vaw.partial_pruning(vit, INPUTS, labels, layer=1, head=0)
    logits = vaw.trace(vit, INPUTS, head_mask=[(1, 0)]).logits.tolist()
    p = [literal.said(row, literal_kind(kind)) for row in logits]
    without = parts.probability[parts.modes.index("all")]
    agree(without, of_labels(p, labels))
    best = parts.top5[parts.modes.index("all")][0]
    assert [value for _, value in best] == pytest.approx(sorted(p[0], reverse=True)[:5])


def hidden(trace: vaw.Trace, maps: Tensor, share: float) -> Tensor:
    """The model's logits with so many of the most relevant patches set to zero."""
    inputs = trace.inputs.clone()
    for image, grid in zip(inputs, maps, strict=True):
        order = grid.flatten().argsort(descending=True)
        for patch in order[: round(share * len(order))].tolist():
            row, col = divmod(patch, 4)
            image[:, row * 8 : row * 8 + 8, col * 8 : col * 8 + 8] = 0
    with torch.no_grad():
        logits: Tensor = trace.model.model(inputs)
    return logits


def test_maps_are_scored_by_the_kind_of_output(kind: str) -> None:
    trace = vaw.trace(described(kind), INPUTS, LABELS[kind])
    maps = vaw.explainers.legrad(trace).final
    curve = vaw.evaluation.deletion(trace, maps, steps=4)
    decided = vaw.evaluation.positive_perturbation(trace, maps, fill="zero")
    for k in range(5):
        for image, row in enumerate(hidden(trace, maps, k / 4).tolist()):
            expected = literal.said(row, literal_kind(kind))[LABELS[kind][image]]
            assert float(curve.values[image, k]) == pytest.approx(expected, abs=1e-6)
    for image, row in enumerate(hidden(trace, maps, 8 / 16).tolist()):
        label = LABELS[kind][image]
        picked = float(literal.is_picked(row, label, literal_kind(kind)))
        expected = literal.said(row, "value")[label] if kind.startswith("value") else picked
        assert float(decided.values[image, 4]) == pytest.approx(expected, abs=1e-6)
    table = vaw.evaluate(trace, methods="legrad", metrics=["insertion", "average_drop"], steps=2)
    assert torch.isfinite(table.values[..., 0]).all()


def test_accuracy() -> None:
    for kind in ("softmax", "sigmoid", "binary"):
        vit, labels = described(kind), LABELS[kind]
        logits = vaw.trace(vit, INPUTS).logits.tolist()
        right = [literal.is_picked(row, c, kind) for row, c in zip(logits, labels, strict=True)]
        assert vaw.accuracy(vit, INPUTS, labels) == pytest.approx(sum(right) / 3)
        pairs = list(zip(INPUTS, labels, strict=True))
        assert vaw.accuracy(vit, pairs) == pytest.approx(sum(right) / 3)
    # binary cross-entropy wants labels as floats, often in a vector of one
    vit = described("binary")
    expected = vaw.accuracy(vit, INPUTS, [1, 0, 1])
    for labels in (torch.tensor([1.0, 0.0, 1.0]), torch.tensor([[1.0], [0.0], [1.0]])):
        assert vaw.accuracy(vit, list(zip(INPUTS, labels, strict=True))) == expected
        assert vaw.accuracy(vit, [(INPUTS, labels)]) == expected


def test_accuracy_over_all_classes_of_a_multi_label_set() -> None:
    vit = described("sigmoid")
    there = [[1, 0, 1, 0, 0], [0, 0, 0, 1, 1], [1, 1, 1, 1, 1]]
    logits = vaw.trace(vit, INPUTS).logits.tolist()
    right = [
        literal.is_picked(logits[i], c, "sigmoid") == bool(there[i][c])
        for i in range(3)
        for c in range(5)
    ]
    pairs = list(zip(INPUTS, torch.tensor(there).float(), strict=True))
    assert vaw.accuracy(vit, pairs) == pytest.approx(sum(right) / 15)
    assert vaw.accuracy(vit, [(INPUTS, torch.tensor(there))]) == pytest.approx(sum(right) / 15)
    with pytest.raises(ParameterError, match=r"label of image 0 is of 3, but .* 5 classes"):
        vaw.accuracy(vit, [(INPUTS, torch.ones(3, 3))])
    # Such labels name no class to explain: each image's most probable one is.
    importance = vaw.head_importance(vit, pairs)
    assert torch.equal(importance.values, vaw.head_importance(vit, INPUTS).values)


def test_measured_values_are_no_targets() -> None:
    vit = described("value")
    pairs = list(zip(INPUTS, [3.7, -1.0, 12.5], strict=True))
    importance = vaw.head_importance(vit, pairs)
    assert torch.equal(importance.values, vaw.head_importance(vit, INPUTS).values)
    assert vaw.image_overview(vit, pairs).labels is None
    with pytest.raises(ParameterError, match="neither right nor wrong"):
        vaw.accuracy(vit, pairs)


def test_targets() -> None:
    sigmoid = vaw.trace(described("sigmoid"), INPUTS, vaw.targets.probability(2))
    agree(sigmoid.score, sigmoid.logits.sigmoid()[:, 2])
    binary = vaw.trace(described("binary"), INPUTS, 0)
    assert binary.target.name == "no"
    agree(binary.score, -binary.logits[:, 0])
    agree(binary.retarget("yes").score, binary.logits[:, 0])
    agree(binary.retarget(vaw.targets.probability([1, 0, 1])).score, binary.probabilities[
        [0, 1, 2], [1, 0, 1]
    ])  # fmt: skip
    agree(binary.retarget(vaw.targets.difference(1, 0)).score, 2 * binary.logits[:, 0])
    with pytest.raises(TargetError, match=r"no class 2.*2 classes"):
        binary.retarget(2)
    value = vaw.trace(described("value"), INPUTS)
    assert value.target.name == "value"
    agree(value.score, value.logits[:, 0])
    with pytest.raises(TargetError, match=r"have no probability.*output="):
        value.retarget(vaw.targets.probability())
    assert vaw.trace(described("values"), INPUTS, 2).target.name == "value 2"


def test_the_names_of_one_logit() -> None:
    model = model_of("binary")
    for names, expected in (
        (["cat", "dog"], ["cat", "dog"]),
        (["dog"], ["not dog", "dog"]),
        (None, ["no", "yes"]),
    ):
        trace = vaw.trace(model, INPUTS, output="sigmoid", class_names=names)
        assert trace.model.class_names == expected
    assert vaw.trace(model, INPUTS, class_names=["age"]).target.name == "age"


def test_one_prompt_is_a_value() -> None:
    tower = BY_NAME["vit"].build()
    tower.reset_classifier(0)
    vit = vaw.zero_shot(tower, ["a cat"], features=torch.randn(1, 16))
    trace = vaw.trace(vit, INPUTS)
    assert (vit.output, trace.target.name) == ("value", "a cat")
    assert vaw.head_importance(trace).values.abs().max() > 1e-3


def test_a_copy_with_random_weights_has_the_same_kind_of_output() -> None:
    trace = vaw.trace(described("binary"), INPUTS, "yes")
    check = vaw.evaluation.sanity_check(trace, methods="attention_gradient")
    assert torch.isfinite(check.values).any()


def test_probabilities_are_not_taken_for_logits() -> None:
    """A softmax of a softmax is nearly flat: every importance would be too small."""
    model = model_of("softmax")
    model.head = nn.Sequential(model.head, nn.Softmax(-1))
    with pytest.raises(ParameterError, match="probabilities, of which a softmax would be taken"):
        vaw.trace(model, INPUTS)
    said = vaw.trace(model, INPUTS, output="value").probabilities
    with torch.no_grad():
        assert torch.equal(said, model(INPUTS))
    assert vaw.trace(model, INPUTS, output="softmax").probabilities.max() < 0.5
