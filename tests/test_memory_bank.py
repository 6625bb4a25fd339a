"""Memory banks: the authors' weights, on our models; saved, loaded, and of one model only."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from models import BY_NAME
from reference import daam as literal_daam
from reference import memory_bank as literal
from reference.explicit import ExplicitViT
from renamed import warned
from snapshots import untouched
from torch import Tensor, nn
from twins import agree

import vit_attention_widget as vaw
from vit_attention_widget import explainers
from vit_attention_widget.demo.model import WEIGHTS
from vit_attention_widget.errors import ImageError, JobCancelled, ParameterError, TargetError
from vit_attention_widget.targets import MemoryBank

LABELS = [i % 3 for i in range(24)]


def headless(name: str = "vit") -> tuple[nn.Module, Tensor, Tensor]:
    """A model that returns features, two images, and many to remember."""
    tiny = BY_NAME[name]
    model = tiny.build()
    model.reset_classifier(0)
    return model, tiny.inputs(), tiny.inputs(batch=24, seed=7)


@pytest.fixture
def fitted() -> tuple[nn.Module, Tensor, MemoryBank]:
    model, inputs, many = headless()
    return model, inputs, MemoryBank.fit(model, many, LABELS, class_names=["ant", "bee", "cat"])


@pytest.mark.parametrize("name", ["vit", "deit3", "beit", "siglip", "dinov2-registers", "dinov3"])
@pytest.mark.parametrize("k", [1, 5, 20])
def test_agrees_with_the_literal_twin(name: str, k: int) -> None:
    model, inputs, many = headless(name)
    with untouched(model):
        bank = MemoryBank.fit(model, many, LABELS, k=k, temperature=0.2, batch_size=7)
        trace = vaw.trace(model, inputs, bank.target())
    vit = ExplicitViT(model)
    record, features = vit(inputs), vit(many).logits.detach()
    given = record.logits.detach(), features, LABELS, 3, k, 0.2
    agree(bank.vote(trace.logits), literal.votes(*given), 1e-5)  # the bank is kept in float32
    weights = literal.weights(*given)
    agree(bank.weights(trace.logits), weights, 1e-5)
    agree(explainers.daam(trace).values, literal_daam.daam(vit, record, weights, signed=True), 1e-4)
    agree(
        explainers.daam(trace, signed=False).values,
        literal_daam.daam(vit, record, weights),
        1e-4,
    )
    for method in explainers.METHODS.values():
        assert torch.isfinite(method(trace).values).all()


def test_a_class_of_ones_choice(fitted: tuple[nn.Module, Tensor, MemoryBank]) -> None:
    model, inputs, bank = fitted
    voted = vaw.trace(model, inputs, bank.target())
    by_name = {name: voted.retarget(bank.target(name)) for name in bank.class_names}
    assert by_name["bee"].target.name == "bee (by 20 of 24 images)"
    gradients = [one.output_gradient(0) for one in by_name.values()]
    assert not torch.allclose(gradients[0], gradients[1])
    by_index = voted.retarget(bank.target(1))
    assert torch.equal(by_index.output_gradient(0), gradients[1])
    assert voted.target.name.split(" (")[0].split(", ")[0] in bank.class_names


def test_weights_lie_between_0_and_1_and_reach_both(
    fitted: tuple[nn.Module, Tensor, MemoryBank],
) -> None:
    model, inputs, bank = fitted
    weights = bank.weights(vaw.trace(model, inputs).logits)
    assert torch.equal(weights.amin(1), torch.zeros(2))
    assert torch.equal(weights.amax(1), torch.ones(2))


def test_data_sets_and_loaders_bring_their_own_labels() -> None:
    model, _, many = headless()
    expected = MemoryBank.fit(model, many, LABELS)
    pairs = list(zip(many, LABELS, strict=True))
    loader = torch.utils.data.DataLoader(pairs, batch_size=5)  # type: ignore[arg-type]
    for images in (pairs, iter(pairs), loader):
        bank = MemoryBank.fit(model, images)
        torch.testing.assert_close(bank.features, expected.features)
        assert torch.equal(bank.labels, expected.labels)
    named = MemoryBank.fit(model, list(many), [f"kind {i}" for i in LABELS])
    assert named.class_names == ["kind 0", "kind 1", "kind 2"]
    assert torch.equal(named.labels, expected.labels)
    assert expected.class_names[2] == "class 2"


def test_progress_and_cancel() -> None:
    model, _, many = headless()
    seen: list[float] = []
    MemoryBank.fit(model, many, LABELS, batch_size=6, progress=lambda f, _: seen.append(f))
    assert seen == [0.25, 0.5, 0.75, 1.0]

    def cancel(fraction: float, label: str) -> None:
        raise JobCancelled("by the user")

    with untouched(model), pytest.raises(JobCancelled):
        MemoryBank.fit(model, many, LABELS, progress=cancel)


def test_it_saves_and_loads(fitted: tuple[nn.Module, Tensor, MemoryBank], tmp_path: Path) -> None:
    model, inputs, bank = fitted
    path = tmp_path / "bank.safetensors"
    bank.save(path)
    loaded = MemoryBank.load(path, model)
    assert repr(loaded) == repr(bank)
    one, two = (vaw.trace(model, inputs, b.target()) for b in (bank, loaded))
    assert one.target.name == two.target.name
    assert torch.equal(one.output_gradient(0), two.output_gradient(0))


def test_a_bank_is_of_one_model(
    fitted: tuple[nn.Module, Tensor, MemoryBank], tmp_path: Path
) -> None:
    _, inputs, bank = fitted
    other, _, _ = headless()
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.mul_(1.5)
    with pytest.raises(ParameterError, match=r"memory bank.*another model.*weights differ.*Fit"):
        vaw.trace(other, inputs, bank.target())
    bank.save(tmp_path / "bank.safetensors")
    with pytest.raises(ParameterError, match="another model"):
        MemoryBank.load(tmp_path / "bank.safetensors", other)
    whole = BY_NAME["vit"].build()
    with pytest.raises(TargetError, match=r"classifier of 5 classes.*reset_classifier"):
        vaw.trace(whole, inputs, bank.target())
    half = headless()[0].bfloat16()
    assert torch.isfinite(explainers.daam(vaw.trace(half, inputs, bank.target())).values).all()


def test_files_that_are_no_banks(tmp_path: Path) -> None:
    nothing = tmp_path / "nothing"
    nothing.write_text("no bank")
    with pytest.raises(ParameterError, match="cannot be read"):
        MemoryBank.load(nothing)
    with pytest.raises(ParameterError, match="There is no file"):
        MemoryBank.load(tmp_path / "missing")
    with pytest.raises(ParameterError, match=r"no memory bank.*save"):
        MemoryBank.load(WEIGHTS)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"labels": None}, ParameterError, "without labels.*labels="),
        ({"labels": [0, 1]}, ParameterError, "2 labels.*24 images"),
        ({"labels": 3}, ParameterError, "labels are 3"),
        ({"labels": [None] * 24}, ParameterError, "label is None"),
        ({"labels": [-1] * 24}, ParameterError, "label is -1"),
        ({"labels": [0.5] * 24}, ParameterError, r"0\.5"),
        ({"labels": [True] * 24}, ParameterError, "True"),
        ({"labels": ["a"] * 23 + [1]}, ParameterError, "all of one kind"),
        ({"class_names": ["ant"]}, ParameterError, "2.*1 class_names"),
        ({"labels": ["ox"] * 24, "class_names": ["ant"]}, ParameterError, "'ox'.*class_names"),
        ({"k": 0}, ParameterError, "k is 0"),
        ({"temperature": 0}, ParameterError, "temperature is 0"),
        ({"batch_size": 0}, ParameterError, "batch_size is 0"),
        ({"images": [], "labels": []}, ImageError, "no images"),
        ({"images": "cat.jpg", "labels": ["cat"]}, ImageError, "str.*list"),
        ({"images": 3}, ImageError, "int.*list"),
    ],
)
def test_what_cannot_be_learnt_from(
    options: dict[str, Any], error: type[Exception], words: str
) -> None:
    model, _, many = headless()
    given = {"images": many, "labels": LABELS, **options}
    with untouched(model), pytest.raises(error, match=words):
        MemoryBank.fit(model, **given)


def test_a_generator_of_another_length() -> None:
    model, _, many = headless()
    for count in (23, 25):
        labels = [*LABELS, 0][:count]
        with pytest.raises(ParameterError, match=f"{count} labels"):
            MemoryBank.fit(model, iter(many), labels)


def test_a_model_with_a_classifier_has_no_bank() -> None:
    tiny = BY_NAME["vit"]
    with pytest.raises(TargetError, match="classifier of 5 classes"):
        MemoryBank.fit(tiny.build(), tiny.inputs(), [0, 1])


@pytest.mark.parametrize("label", ["cow", 3, -1, True, 1.0])
def test_classes_that_the_bank_does_not_hold(
    fitted: tuple[nn.Module, Tensor, MemoryBank], label: object
) -> None:
    with pytest.raises(TargetError, match=r"no image of a class.*3 classes.*'ant'"):
        fitted[2].target(label)


def test_features_of_another_length(fitted: tuple[nn.Module, Tensor, MemoryBank]) -> None:
    for features in (torch.ones(2, 7), torch.ones(16)):
        with pytest.raises(TargetError, match="16 dimensions"):
            fitted[2].vote(features)


@pytest.mark.slow
def test_the_bundled_models_features_know_the_kinds_without_its_classifier() -> None:
    """Neighbours name most scenes rightly, and the map lies on the object more than chance."""
    model = vaw.demo.load_model()
    model.reset_classifier(0)
    scenes = [vaw.demo.scene(seed) for seed in range(200)]
    bank = MemoryBank.fit(model, [s.image for s in scenes], [s.name for s in scenes])
    fresh = [vaw.demo.scene(seed) for seed in range(1000, 1016)]
    trace = vaw.trace(model, [s.image for s in fresh], bank.target())
    names = [bank.class_names[i] for i in bank.vote(trace.logits).argmax(1)]
    assert sum(n == s.name for n, s in zip(names, fresh, strict=True)) >= 13
    maps = explainers.daam(trace).upsample((80, 80))
    gains = [
        float(heat[torch.from_numpy(s.mask)].sum() / heat.sum() / s.mask.mean())
        for heat, s in zip(maps, fresh, strict=True)
    ]
    assert sum(gains) / len(gains) > 1.5


def test_old_names(fitted: tuple[nn.Module, Tensor, MemoryBank]) -> None:
    bank = fitted[2]
    with warned("MemoryBank.identity is now MemoryBank.fingerprint"):
        assert bank.identity is bank.fingerprint
    with warned("MemoryBank(who=...) is now MemoryBank(fingerprint=...)"):
        again: Any = MemoryBank
        again(bank.features, bank.labels, bank.class_names, who=bank.fingerprint)
