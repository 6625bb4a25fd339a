"""Attention strength against pairs counted one by one, and on heads whose answer is known."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import timm
import torch
from models import BY_NAME, NAMES
from reference import strength as literal
from torch import Tensor
from twins import agree, twins

import vit_attention_widget as vaw
from vit_attention_widget.errors import ParameterError
from vit_attention_widget.strength import run as strength

PAIRS = [196, 1404, 2496, 3300, 3840, 4140, 4224, 4116, 3840, 3420, 2880, 2244, 1536, 780]


@pytest.mark.parametrize("name", NAMES)
def test_strength(name: str) -> None:
    pair = twins(name)
    tokens = pair.trace.tokens
    grid = tokens.num_prefix, tokens.rows, tokens.cols
    measured = vaw.attention_strength(pair.trace)
    bare = vaw.attention_strength(pair.trace, renormalize=False)
    assert measured.hops == max(tokens.rows, tokens.cols)
    for layer, attention in enumerate(pair.record.attention):
        attention = attention.detach()
        profile = literal.profile(attention, *grid)
        agree(measured.profile[:, layer], profile)
        agree(measured.entropy[:, layer], literal.entropy(profile))
        sides = tokens.patch_height, tokens.patch_width
        agree(measured.distance[:, layer], literal.distance(attention, *grid, *sides, True))
        agree(bare.distance[:, layer], literal.distance(attention, *grid, *sides, False))
        if "class" not in tokens.prefix:
            assert measured.class_to_class is None
            continue
        first = tokens.num_prefix
        agree(measured.class_to_class[:, layer], attention[:, :, 0, 0])
        agree(measured.class_to_patches[:, layer], attention[:, :, 0, first:].sum(-1))
        agree(measured.patches_to_class[:, layer], attention[:, :, first:, 0].mean(-1))


@pytest.mark.parametrize("size", [1, 2_000, 20_000])
@pytest.mark.parametrize("name", ["vit", "dinov2-registers", "vit-non-square"])
def test_the_size_of_a_chunk_does_not_matter(
    name: str, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair = twins(name)
    whole = vaw.attention_strength(pair.trace)
    monkeypatch.setattr(strength, "_ENTRIES", size)
    parts = vaw.attention_strength(pair.trace)
    for field in ("profile", "entropy", "distance", "class_to_patches", "patches_to_class"):
        agree(getattr(parts, field), getattr(whole, field), 1e-12)


def constructed(attention: Tensor, monkeypatch: pytest.MonkeyPatch) -> vaw.AttentionStrength:
    """Strength of a ViT on 14 x 14 patches whose heads all attend as given, [patch, patch]."""
    model = timm.create_model("vit_tiny_patch16_224", depth=1).eval()
    trace = vaw.trace(model, torch.zeros(1, 3, 224, 224), gradients=False)
    whole = torch.zeros(1, 3, 197, 197)
    whole[:, :, 0, 0] = 1
    whole[:, :, 1:, 1:] = attention
    monkeypatch.setattr(vaw.Trace, "attention", lambda t, layer, query: whole[:, :, query])
    return vaw.attention_strength(trace)


def test_the_published_numbers_of_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    assert constructed(torch.eye(196), monkeypatch).pairs.tolist() == PAIRS


def test_a_head_that_looks_at_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    measured = constructed(torch.eye(196), monkeypatch)
    assert measured.profile[0, 0, 0].tolist() == pytest.approx([1] + [0] * 13)
    assert measured.entropy.flatten().tolist() == pytest.approx([0, 0, 0], abs=1e-5)
    assert measured.distance.flatten().tolist() == pytest.approx([0, 0, 0], abs=1e-5)
    assert measured.class_to_class.flatten().tolist() == [1, 1, 1]


def test_a_head_that_looks_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    measured = constructed(torch.full((196, 196), 1 / 196), monkeypatch)
    assert measured.entropy.flatten().tolist() == pytest.approx([math.log(14)] * 3, abs=1e-5)
    assert measured.profile[0, 0, 0].tolist() == pytest.approx([1 / 196] * 14, rel=1e-4)


def test_layers_may_differ_in_heads() -> None:
    model = timm.create_model("test_vit", num_classes=10).eval()
    small = vaw.prune_heads(model, {0: [1]})
    measured = vaw.attention_strength(vaw.trace(small, torch.randn(1, 3, 160, 160)))
    assert measured.entropy[0, 0, 1].isnan()
    assert not measured.entropy[0, 1:].isnan().any()
    assert len(measured.to_dataframe()) == sum(measured.entropy.shape[1:2]) * 2 - 1


def test_a_layer_without_heads_has_no_strength() -> None:
    tiny = BY_NAME["vit"]
    small = vaw.prune_heads(tiny.build(), {1: [0, 1]})
    measured = vaw.attention_strength(vaw.trace(small, tiny.inputs()))
    assert measured.entropy[:, 1].isnan().all()
    assert measured.entropy[:, [0, 2]].isfinite().all()


def test_tables_files_and_pictures(tmp_path: Path) -> None:
    for library in ("matplotlib", "pandas", "xarray"):
        pytest.importorskip(library)
    pair = twins("vit")
    measured = vaw.attention_strength(pair.model, pair.inputs)
    assert measured.values is measured.profile
    table = measured.to_dataframe()
    assert len(table) == 2 * 3 * 2
    row = table[(table["image"] == 1) & (table["layer"] == 2) & (table["head"] == 0)]
    assert row["class_to_patches"].item() == measured.class_to_patches[1, 2, 0].item()
    data = measured.to_xarray()
    assert data["strength"].dims == ("image", "layer", "head", "hop")
    assert data["pairs"].values.tolist() == measured.pairs.tolist()
    measured.save(tmp_path / "strength.safetensors")
    again = vaw.AttentionStrength.load(tmp_path / "strength.safetensors")
    assert torch.equal(again.values, measured.values)
    assert torch.equal(again.distance, measured.distance)
    for quantity in ("entropy", "distance", "patches_to_class"):
        axes = measured.plot(quantity=quantity)
        drawn = axes.collections[0].get_offsets()
        assert drawn[2 * 2 + 1].tolist() == pytest.approx(
            [2, float(getattr(measured, quantity)[:, 2, 1].mean())]
        )
    with pytest.raises(ParameterError, match="'reach'"):
        measured.plot(quantity="reach")
    assert measured._repr_html_().count("<img") == 2
    assert "2 images, 3 layers" in repr(measured)


def test_without_a_class_token_there_is_less_to_draw(tmp_path: Path) -> None:
    pair = twins("vit-avg")
    measured = vaw.attention_strength(pair.trace)
    measured.save(tmp_path / "strength.safetensors")
    assert vaw.AttentionStrength.load(tmp_path / "strength.safetensors").class_to_class is None
    assert "class_to_class" not in measured.to_xarray()
    with pytest.raises(ParameterError, match="no class token"):
        measured.plot(quantity="class_to_class")
