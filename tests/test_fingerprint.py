"""What was learned of a model is used with that model only, whichever of its weights differs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import vit_attention_widget as vaw
from tests.faults import TINY, images
from vit_attention_widget.errors import ParameterError
from vit_attention_widget.models import fingerprint as module
from vit_attention_widget.models.fingerprint import fingerprint
from vit_attention_widget.models.weight_sums import weight_sums
from vit_attention_widget.patterns.collecting import CollectedHeads
from vit_attention_widget.targets import MemoryBank


def tower(dtype: torch.dtype = torch.float64) -> Any:
    model: Any = TINY.build()
    model.reset_classifier(0)
    model.register_buffer("scale", torch.linspace(0.5, 1.0, 1000))
    return model.to(dtype)


def bank_of(model: nn.Module) -> MemoryBank:
    return MemoryBank.fit(model, images(4), [0, 1, 0, 1], k=1)


def without_a_head(model: Any) -> Any:
    """One of many values that a few samples do not meet: a head that its weights switch off."""
    weight = model.blocks[1].attn.proj.weight
    with torch.no_grad():
        weight[:, weight.shape[1] // 2 :] = 0
    return model


def with_another_buffer(model: Any) -> Any:
    model.scale[501] += 0.25
    return model


CHANGES: list[tuple[Callable[[Any], Any], str]] = [
    (without_a_head, r"the weights differ \(blocks.1.attn.proj.weight\)"),
    (with_another_buffer, r"the weights differ \(scale\)"),
]


@pytest.mark.parametrize(("change", "says"), CHANGES)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_any_weight_and_buffer_counts(
    change: Callable[[Any], Any], says: str, dtype: torch.dtype
) -> None:
    made_of = fingerprint(tower())
    made_of.check(tower(dtype))
    fingerprint(tower(dtype)).check(tower())
    with pytest.raises(ParameterError, match=says):
        made_of.check(change(tower()).to(dtype))


def test_a_bank_and_a_map_refuse_a_model_of_which_one_head_differs(
    patterns: vaw.AttentionPatterns, tmp_path: Path
) -> None:
    bank, other = bank_of(tower()), without_a_head(tower())
    bank.save(tmp_path / "bank")
    with pytest.raises(ParameterError, match=r"bank was made of another .*blocks.1.attn.proj"):
        vaw.trace(other, images(1)[0], bank.target())
    with pytest.raises(ParameterError, match=r"blocks.1.attn.proj.*Fit one on yours"):
        MemoryBank.load(tmp_path / "bank", other)
    MemoryBank.load(tmp_path / "bank", tower())
    model, scene = without_a_head(vaw.demo.load_model()), vaw.demo.scene(seed=9).image
    patterns.save(tmp_path / "map")
    with pytest.raises(ParameterError, match=r"patterns were learned .*blocks.1.attn.proj"):
        patterns.place(vaw.trace(model, scene, gradients=False))
    with pytest.raises(ParameterError, match=r"blocks.1.attn.proj.*Fit them on yours"):
        vaw.AttentionPatterns.load(tmp_path / "map", model)
    start = CollectedHeads.of_trace(vaw.trace(vaw.demo.load_model(), scene, gradients=False))
    start = replace(start, fingerprint=fingerprint(vaw.demo.load_model()))
    with pytest.raises(ParameterError, match=r"start was collected of another .*attn.proj"):
        vaw.AttentionPatterns().fit(model, [scene], start=start)


def test_other_code_of_the_same_weights_is_told_by_what_it_gives() -> None:
    model = tower()
    made_of = fingerprint(model)
    hook = model.norm.register_forward_hook(lambda module, inputs, tokens: tokens * 2)
    with pytest.raises(ParameterError, match=r"but not what it gives for a picture \(hooks"):
        made_of.check(model)
    hook.remove()
    made_of.check(model)
    with vaw.masked_heads(model, {0: [1]}):  # beside the model, as those of a trace
        made_of.check(model)
        fingerprint(model).check(tower())
    made_of.check(model)
    mine = vaw.describe(model, transform=lambda picture: torch.zeros(3, 32, 32))
    made_of.check(mine)  # pictures that are prepared otherwise say nothing of the model


def test_prompts_may_change() -> None:
    model = tower()
    features = torch.randn(2, model.num_features)
    made_of = fingerprint(vaw.zero_shot(model, ["a cat", "a dog"], features=features))
    made_of.check(vaw.zero_shot(model, ["a bird"], features=features[:1]))


def test_float16_beside_bfloat16_is_compared_by_a_few_values() -> None:
    made_of = fingerprint(tower(torch.float16))
    made_of.check(tower(torch.bfloat16))
    other = tower(torch.bfloat16)
    with torch.no_grad():
        other.blocks[0].mlp.fc1.weight.mul_(1.5)
    with pytest.raises(ParameterError, match="the weights differ"):
        made_of.check(other)


def test_weights_are_read_once_until_they_change(monkeypatch: pytest.MonkeyPatch) -> None:
    read = list[nn.Module]()

    def counted(model: nn.Module) -> torch.Tensor:
        read.append(model)
        return weight_sums(model)

    monkeypatch.setattr(module, "weight_sums", counted)
    model = tower()
    bank = bank_of(model)
    for image in images(3):
        vaw.trace(model, image, bank.target())
    assert len(read) == 1
    with pytest.raises(ParameterError, match="the weights differ"):
        vaw.trace(with_another_buffer(model), images(1)[0], bank.target())
    assert len(read) == 2


def test_a_file_of_an_earlier_release_is_read_with_a_word(
    patterns: vaw.AttentionPatterns, tmp_path: Path
) -> None:
    bank, model = bank_of(tower()), vaw.demo.load_model()
    bank.fingerprint = replace(bank.fingerprint, whole=None)
    bank.save(tmp_path / "bank")
    says = "bank was written by an earlier release, which kept 16 values of each parameter"
    with pytest.warns(UserWarning, match=says):
        old = MemoryBank.load(tmp_path / "bank", tower())
    vaw.trace(without_a_head(tower()), images(1)[0], old.target())  # which it cannot tell
    with pytest.raises(ParameterError, match="the weights differ"):
        old.fingerprint.check(_of_others())
    whole = patterns.fingerprint
    assert whole is not None
    try:
        patterns.fingerprint = replace(whole, whole=None)
        patterns.save(tmp_path / "map")
    finally:
        patterns.fingerprint = whole
    with pytest.warns(UserWarning, match="map was written by an earlier release"):
        vaw.AttentionPatterns.load(tmp_path / "map", model)


def _of_others() -> nn.Module:
    other = tower()
    with torch.no_grad():
        other.blocks[0].mlp.fc1.weight.mul_(1.5)
    return other


@pytest.mark.parametrize("part", ["sums", "picture", "output"])
def test_what_a_file_says_of_a_model_may_be_damaged(part: str, tmp_path: Path) -> None:
    bank = bank_of(tower())
    assert bank.fingerprint.whole is not None
    wrong: Any = torch.zeros(3, 5) if part == "sums" else ["many"]
    whole = bank.fingerprint.whole._replace(**{part: wrong})
    bank.fingerprint = replace(bank.fingerprint, whole=whole)
    bank.save(tmp_path / "bank")
    with pytest.raises(ParameterError, match=r"damaged: what it says of the model.*cannot be"):
        MemoryBank.load(tmp_path / "bank")
