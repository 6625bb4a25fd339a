"""The logit lens: its twin, kinds of output, refusals, and its result."""

from __future__ import annotations

from pathlib import Path

import pytest
import timm
import torch
from models import NAMES
from reference.logit_lens import of_layers, of_tokens
from torch import nn
from twins import TARGET, Twins, agree, twins

import vit_attention_widget as vaw
from vit_attention_widget.errors import ParameterError, UnsupportedModelError


@pytest.fixture(params=NAMES)
def pair(request: pytest.FixtureRequest) -> Twins:
    return twins(request.param)


def test_agrees_with_the_literal_twin(pair: Twins) -> None:
    pooled = pair.trace.model.readout_kind == "attention_pool"
    lens = vaw.logit_lens(pair.trace, k=3, tokens=not pooled)
    expected = of_layers(pair.vit, pair.record)[:, :, None]
    agree(lens.decisions, expected[:, :, 0])
    if not pooled:
        expected = torch.cat([expected, of_tokens(pair.vit, pair.record)], 2)
    best = expected.topk(3)
    agree(lens.values, best.values)
    assert torch.equal(lens.classes, best.indices)
    index = torch.tensor(TARGET)[:, None, None].expand(expected.shape[:3])
    agree(lens.target_values, expected.gather(-1, index[..., None])[..., 0])


def test_the_last_layer_decides_as_the_model_does(pair: Twins) -> None:
    lens = vaw.logit_lens(pair.model, pair.inputs, TARGET, tokens=False)
    agree(lens.values[:, -1, 0], pair.trace.probabilities.topk(5).values)


def test_pooled_by_attention_one_token_decides_nothing() -> None:
    sizes = {"img_size": 32, "patch_size": 8, "embed_dim": 16, "depth": 2, "num_heads": 2}
    model = timm.create_model("vit_base_patch16_siglip_224", num_classes=5, **sizes).eval()
    trace = vaw.trace(model, torch.randn(1, 3, 32, 32), 1)
    with pytest.raises(UnsupportedModelError, match=r"by attention.*tokens=False"):
        vaw.logit_lens(trace)
    lens = vaw.logit_lens(trace, tokens=False)
    assert lens.values.shape == (1, 2, 1, 5)
    with pytest.raises(ParameterError, match="tokens=True"):
        _ = lens.patches


def test_a_readout_of_two_tokens_is_read_out_as_a_whole() -> None:
    sizes = {"img_size": 32, "patch_size": 8, "embed_dim": 16, "depth": 2, "num_heads": 2}
    model = timm.create_model("deit_tiny_distilled_patch16_224", num_classes=5, **sizes)
    model = model.double().eval()
    trace = vaw.trace(model, torch.randn(1, 3, 32, 32, dtype=torch.float64), 1)
    lens = vaw.logit_lens(trace)
    token = model.norm(trace.layers[0].output[:, 4:5].detach())[:, 0]
    logits = (model.head(token) + model.head_dist(token)) / 2  # all tokens are this one
    agree(lens.values[:, 0, 5], logits.softmax(-1).topk(5).values)


def test_a_head_that_is_not_all_is_refused() -> None:
    model = twins("vit").tiny.build()
    forward = model.forward
    model.forward = lambda x: forward(x) ** 3
    with pytest.raises(UnsupportedModelError, match="more than its norm and head"):
        vaw.logit_lens(model, twins("vit").inputs)


def test_kinds_of_output() -> None:
    pair = twins("vit")
    logits = pair.trace.logits
    lens = vaw.logit_lens(vaw.describe(pair.model, output="sigmoid"), pair.inputs, tokens=False)
    agree(lens.values[:, -1, 0], logits.sigmoid().topk(5).values)
    lens = vaw.logit_lens(vaw.describe(pair.model, output="value"), pair.inputs, tokens=False)
    agree(lens.values[:, -1, 0], logits.topk(5).values)
    features = pair.tiny.build()
    features.head = nn.Identity()
    with pytest.raises(UnsupportedModelError, match="no classes"):
        vaw.logit_lens(features, pair.inputs, lambda z: z[:, 0])


def test_a_target_that_is_no_class_is_followed_by_its_value() -> None:
    pair = twins("vit")
    lens = vaw.logit_lens(pair.trace.retarget(lambda z: z[:, 0] - z[:, 1]), tokens=False)
    agree(lens.target_values[:, -1, 0], pair.trace.logits[:, 0] - pair.trace.logits[:, 1])


def test_k_is_at_least_one() -> None:
    with pytest.raises(ParameterError, match="k is 0"):
        vaw.logit_lens(twins("vit").trace, k=0)
    assert vaw.logit_lens(twins("vit").trace, k=99).values.shape[-1] == 5


def test_the_result_has_what_results_share(tmp_path: Path) -> None:
    pair = twins("vit")
    lens = vaw.logit_lens(pair.trace, k=2)
    assert lens.tokens[:3] == ("readout", "class", "patch (0, 0)")
    assert lens.patches.shape == (2, 3, 4, 4)
    assert torch.equal(lens.patches[:, :, 0, 0], lens.target_values[:, :, 2])
    lens.save(tmp_path / "lens.safetensors")
    again = vaw.LogitLens.load(tmp_path / "lens.safetensors")
    assert torch.equal(again.classes, lens.classes)
    assert (again.tokens, again.class_names, again.grid) == (
        lens.tokens,
        lens.class_names,
        lens.grid,
    )
    assert again.best() == lens.best()
    row = lens.rows()[0]
    assert row["token"] == "readout"
    assert row["class"] == int(lens.classes[0, 0, 0, 0])
    assert lens.to_xarray()["target"].dims == ("image", "layer", "token")
    assert lens.plot(token=1).get_title() == "class"
    with pytest.raises(ParameterError, match="no token 99"):
        lens.plot(token=99)
    assert "data:image/png" in lens._repr_html_()
