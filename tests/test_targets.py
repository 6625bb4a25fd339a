"""Targets: classes, differences, probabilities, sums, likeness, and what all of them refuse."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from models import BY_NAME
from PIL import Image
from renamed import warned
from snapshots import untouched
from torch import Tensor, nn
from twins import TARGET, twins

import vit_attention_widget as vaw
from vit_attention_widget import explainers, targets
from vit_attention_widget.errors import ImageError, TargetError
from vit_attention_widget.tracing.run import remask

NAMES = ["ant", "bee", "cat", "dog", "emu"]


def named() -> tuple[nn.Module, Tensor]:
    tiny = BY_NAME["vit"]
    model = tiny.build()
    model.pretrained_cfg = {**model.pretrained_cfg, "label_names": NAMES}
    return model, tiny.inputs()


def headless(name: str = "vit") -> tuple[nn.Module, Tensor]:
    tiny = BY_NAME[name]
    model = tiny.build()
    model.reset_classifier(0)
    return model, tiny.inputs()


# --- classes -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "score", "name"),
    [
        (targets.logit("bee"), lambda y: y[:, 1], "bee"),
        (targets.logit([1, "dog"]), lambda y: y[[0, 1], [1, 3]], "bee, dog"),
        (targets.probability(2), lambda y: y.softmax(1)[:, 2], "probability of cat"),
        (targets.difference("ant", 4), lambda y: y[:, 0] - y[:, 4], "ant, not emu"),
        (
            targets.difference(["ant", "bee"], "emu"),
            lambda y: y[[0, 1], [0, 1]] - y[:, 4],
            "ant, not emu; bee, not emu",
        ),
        (targets.sum_of(["cat", 3]), lambda y: y[:, 2] + y[:, 3], "cat + dog"),
    ],
)
def test_scores_gradients_and_names(
    target: targets.TargetSpec, score: Callable[[Tensor], Tensor], name: str
) -> None:
    model, inputs = named()
    with untouched(model):
        trace = vaw.trace(model, inputs, target)
        plain = vaw.trace(model, inputs, score)
    assert trace.target.name == name
    torch.testing.assert_close(trace.target.score(trace.logits), score(trace.logits))
    for layer in range(3):
        torch.testing.assert_close(trace.output_gradient(layer), plain.output_gradient(layer))
    for method in explainers.METHODS.values():
        torch.testing.assert_close(method(trace).values, method(plain).values)
    torch.testing.assert_close(trace.retarget(target).output_gradient(0), trace.output_gradient(0))


def test_the_logit_of_a_class_is_the_class() -> None:
    pair = twins("vit")
    retargeted = pair.trace.retarget(targets.logit(TARGET))
    assert retargeted.target.index == tuple(TARGET)
    predicted = vaw.trace(pair.model, pair.inputs)
    assert predicted.retarget(targets.logit()).target.index == predicted.target.index
    assert torch.equal(retargeted.output_gradient(0), pair.trace.output_gradient(0))


def test_they_stay_what_they_are_when_heads_are_masked() -> None:
    model, inputs = named()
    for target in (targets.probability("bee"), targets.difference("ant", "bee")):
        remasked = remask(vaw.trace(model, inputs, target), {1: [0]})
        fresh = vaw.trace(model, inputs, target, head_mask={1: [0]})
        assert remasked.target.name == fresh.target.name
        torch.testing.assert_close(remasked.output_gradient(0), fresh.output_gradient(0))


def test_half_precision_probabilities_are_float() -> None:
    model, inputs = named()
    trace = vaw.trace(model.bfloat16(), inputs, targets.probability("bee"))
    assert trace.target.score(trace.logits).dtype == torch.float32
    assert torch.isfinite(explainers.daam(trace).values).all()


def test_they_say_what_was_asked_for_before_a_model_is_known() -> None:
    assert repr(targets.difference("tench", "reel")) == "<target 'tench, not reel'>"
    assert "predicted" in repr(targets.probability())


@pytest.mark.parametrize(
    ("target", "words"),
    [
        (lambda: targets.logit("cow"), "'cow'.*near to it"),
        (lambda: targets.probability(5), "class 5.*0 to 4"),
        (lambda: targets.difference("ant", 0), "Both.*'ant'.*two different"),
        (lambda: targets.difference("ant", [1, 2, 3]), "3 targets.*2 images"),
        (lambda: targets.sum_of([]), r"\[\].*at least one"),
        (lambda: targets.sum_of("ant"), "'ant'.*list"),
        (lambda: targets.sum_of(["ant", 0]), "'ant'.*twice"),
        (lambda: targets.sum_of([9]), "class 9"),
        (lambda: targets.sum_of([True]), "True"),
        (lambda: targets.similarity(torch.ones(16)), "classifier of 5 classes.*reset_classifier"),
    ],
)
def test_what_does_not_exist(target: Callable[[], targets.TargetSpec], words: str) -> None:
    model, inputs = named()
    with untouched(model), pytest.raises(TargetError, match=words):
        vaw.trace(model, inputs, target())


def test_classes_of_a_model_without_any() -> None:
    model, inputs = headless()
    for target in (
        targets.logit(0),
        targets.logit(),
        targets.probability(1),
        targets.difference(0, 1),
        targets.sum_of([0]),
    ):
        with pytest.raises(TargetError, match=r"num_classes=0.*similarity"):
            vaw.trace(model, inputs, target)


# --- likeness ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["vit", "beit", "siglip", "dinov3", "dinov2-registers"])
def test_similarity_to_another_image(name: str) -> None:
    model, inputs = headless(name)
    other = BY_NAME[name].inputs(batch=1, seed=5)
    with torch.no_grad():
        features = model(other)
    with untouched(model):
        trace = vaw.trace(model, inputs, targets.similarity(other))
        plain = vaw.trace(model, inputs, lambda f: torch.cosine_similarity(f, features))
    assert trace.target.name == "similarity to an image"
    for kind, method in explainers.METHODS.items():
        torch.testing.assert_close(method(trace).values, method(plain).values, msg=kind)
    by_vector = trace.retarget(targets.similarity(features[0]))
    assert by_vector.target.name == "similarity to a vector"
    torch.testing.assert_close(by_vector.output_gradient(0), trace.output_gradient(0))
    assert torch.equal(
        by_vector.retarget(targets.similarity(features[0].tolist())).logits, trace.logits
    )


def test_similarity_one_each_and_by_name(tmp_path: Path) -> None:
    model, inputs = headless()
    both = BY_NAME["vit"].inputs(seed=3)
    trace = vaw.trace(model, inputs, targets.similarity(both))
    singles = [vaw.trace(model, inputs[i], targets.similarity(both[i])) for i in range(2)]
    values = torch.cat([explainers.daam(single).values for single in singles])
    torch.testing.assert_close(explainers.daam(trace).values, values)
    picture = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    Image.fromarray(picture).save(tmp_path / "macaw.png")
    by_path = trace.retarget(targets.similarity(tmp_path / "macaw.png"))
    assert by_path.target.name == "similarity to macaw.png"
    by_array = trace.retarget(targets.similarity(picture))
    assert torch.equal(by_path.output_gradient(0), by_array.output_gradient(0))


def test_the_reference_is_looked_at_in_evaluation_mode_and_without_a_graph() -> None:
    model, inputs = headless()
    expected = vaw.trace(model, inputs, targets.similarity(inputs[:1])).output_gradient(0)
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.5
    model.train()
    with untouched(model), torch.inference_mode():
        trace = vaw.trace(model, inputs, targets.similarity(inputs[:1]))
        assert torch.equal(trace.output_gradient(0), expected)


@pytest.mark.parametrize(
    ("reference", "error", "words"),
    [
        (torch.ones(7), TargetError, "7 numbers.*16"),
        (torch.zeros(16), TargetError, "zero or not finite"),
        (torch.full((16,), torch.nan), TargetError, "zero or not finite"),
        (torch.ones(3, 16), TargetError, "3 images or vectors.*2 images"),
        (None, ImageError, "NoneType"),
        ("nowhere.jpg", ImageError, "no file"),
        ([], ImageError, "empty"),
    ],
)
def test_references_that_do_not_fit(reference: object, error: type[Exception], words: str) -> None:
    model, inputs = headless()
    with untouched(model), pytest.raises(error, match=words):
        vaw.trace(model, inputs, targets.similarity(reference))


def test_old_names() -> None:
    package = "vit_attention_widget.targets"
    with warned(f"{package}.Unbound is now {package}.TargetSpec"):
        assert targets.Unbound is targets.TargetSpec
    with warned(f"{package}.resolve is now {package}.user_target.resolve"):
        assert callable(targets.resolve)
    with warned(f"{package}.class_index is now vit_attention_widget.models.classes.class_index"):
        assert targets.class_index(2, twins("vit").trace.model) == 2
    with warned("ImageInput.normalisation is now ImageInput.normalization"):
        assert len(twins("vit").trace.model.normalisation) == 2
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        getattr(targets, "nothing")  # noqa: B009
