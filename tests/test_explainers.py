"""Every explainer agrees with its slow, literal twin, on every family of models."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from models import NAMES
from reference import attention as literal_attention
from reference import daam as literal_daam
from reference import gmar as literal_gmar
from reference import gradcam as literal_gradcam
from reference import legrad as literal_legrad
from reference import relevance as literal_relevance
from reference import rollout as literal_rollout
from reference.explicit import ExplicitViT
from torch import Tensor
from twins import TARGET, Twins, agree, twins

import vit_attention_widget as vaw
from vit_attention_widget import explainers
from vit_attention_widget.errors import ParameterError
from vit_attention_widget.explainers.methods.gmar import head_weights
from vit_attention_widget.results.storage import write_tensors

Literal = Callable[..., Tensor]

LITERAL: dict[str, Literal] = {
    "attention": lambda t, **o: literal_attention.attention(t.vit, t.record, **o),
    "rollout": lambda t, **o: literal_rollout.rollout(t.vit, t.record, **o),
    "gmar": lambda t, **o: literal_gmar.gmar(t.vit, t.record, TARGET, **o),
    "daam": lambda t, **o: literal_daam.daam(t.vit, t.record, TARGET, **o),
    "legrad": lambda t, **o: literal_legrad.legrad(t.vit, t.record, TARGET, **o),
    "relevance": lambda t, **o: literal_relevance.relevance(t.vit, t.record, TARGET, **o),
    "gradient_rollout": lambda t, **o: literal_relevance.gradient_rollout(
        t.vit, t.record, TARGET, **o
    ),
    "gradcam": lambda t, **o: literal_gradcam.gradcam(t.vit, t.record, TARGET, **o),
    "attention_gradient": lambda t, **o: literal_relevance.attention_gradient(
        t.vit, t.record, TARGET, **o
    ),
}

OPTIONS: dict[str, list[dict[str, Any]]] = {
    "attention": [{}, {"head_fusion": "max"}, {"head_fusion": "min"}],
    "rollout": [
        {},
        {"head_fusion": "max"},
        {"head_fusion": "min"},
        {"residual_weight": 0.25},
        {"discard_ratio": 0.6},
    ],
    "gmar": [
        {},
        {"gradient_norm": "l2"},
        {"update": "paper"},
        {"gradient_norm": "l2", "update": "paper", "residual_weight": 0.5},
        {"residual_weight": 2.0},
    ],
    "daam": [{}, {"normalize": True}, {"signed": True}],
    "legrad": [{}, {"start": 1}, {"readout": "mean"}, {"readout": "cls"}],
    "relevance": [{}],
    "gradient_rollout": [
        {},
        {"head_fusion": "max"},
        {"head_fusion": "min"},
        {"residual_weight": 0.1},
        {"discard_ratio": 0.5},
        {"head_fusion": "max", "discard_ratio": 0.9},
    ],
    "gradcam": [{}, {"tokens": "before"}, {"tokens": "after"}],
    "attention_gradient": [{}],
}

CASES = [
    pytest.param(method, options, id=f"{method}-{'-'.join(map(str, options.values())) or 'plain'}")
    for method, choices in OPTIONS.items()
    for options in choices
]


@pytest.fixture(params=NAMES)
def pair(request: pytest.FixtureRequest) -> Twins:
    return twins(request.param)


@pytest.mark.parametrize(("method", "options"), CASES)
def test_agrees_with_the_literal_twin(pair: Twins, method: str, options: dict[str, Any]) -> None:
    attribution = explainers.METHODS[method](pair.trace, **options)
    tiny = pair.tiny
    assert attribution.values.shape == (2, tiny.layers, tiny.rows, tiny.cols)
    assert attribution.method == method
    agree(attribution.values, LITERAL[method](pair, **options))


def test_uniform_gmar_is_rollout(pair: Twins) -> None:
    heads = pair.tiny.heads
    uniform = [torch.full((2, heads), 1 / heads, dtype=torch.float64)] * pair.tiny.layers
    plain = explainers.rollout(pair.trace).values
    agree(plain, literal_gmar.gmar(pair.vit, pair.record, TARGET, weights=uniform))
    # a target that depends on nothing has no gradient: the package's own weights are uniform then
    nothing = pair.trace.retarget(lambda logits: logits.sum(-1) * 0)
    agree(explainers.gmar(nothing).values, plain)


def test_final_is_the_last_layer_and_upsamples(pair: Twins) -> None:
    attribution = explainers.legrad(pair.trace)
    assert torch.equal(attribution.final, attribution.values[:, -1])
    tiny = pair.tiny
    large = attribution.upsample((tiny.height, tiny.width))
    assert large.shape == (2, tiny.height, tiny.width)
    blocks = attribution.upsample((tiny.rows * 3, tiny.cols * 2), mode="nearest")
    assert torch.equal(blocks[:, 1::3, 1::2], attribution.final)


def test_maps_are_constants_of_their_own() -> None:
    ours = twins("vit")
    for method in explainers.METHODS.values():
        first, second = method(ours.trace).values, method(ours.trace).values
        assert not first.requires_grad
        assert torch.equal(first, second)
        first.zero_()
        assert torch.equal(method(ours.trace).values, second)


def test_maps_that_grow_from_layer_to_layer() -> None:
    ours = twins("vit")
    for method in (explainers.daam, explainers.legrad):
        values = method(ours.trace).values
        assert (values >= 0).all()
        assert (values.diff(dim=1) >= 0).all()


def test_legrad_starts_where_it_is_told() -> None:
    ours = twins("vit")
    whole = explainers.legrad(ours.trace).values
    late = explainers.legrad(ours.trace, start=2).values
    assert (late[:, :2] == 0).all()
    agree(late[:, 2], whole[:, 2] - whole[:, 1])


def test_retarget_changes_what_is_explained_and_nothing_else() -> None:
    ours = twins("vit")
    other = ours.trace.retarget([0, 2])
    fresh = vaw.trace(ours.model, ours.inputs, [0, 2])
    for name, method in explainers.METHODS.items():
        assert torch.equal(method(other).values, method(fresh).values), name
        before = method(ours.trace).values
        same = torch.equal(method(other).values, before)
        assert same == (name in ("attention", "rollout"))


def every_option() -> Iterator[tuple[str, dict[str, Any]]]:
    for method, choices in OPTIONS.items():
        for options in choices:
            yield method, options


def test_a_masked_head_has_no_part_in_a_map(pair: Twins) -> None:
    """By the twins of the heads that are there, whose gradients are autograd's."""
    mask = {0: [1], 2: [0]}
    masked = vaw.trace(pair.model, pair.inputs, TARGET, head_mask=mask)
    vit = ExplicitViT(pair.model, mask, cut=True)
    literal = replace(pair, vit=vit, record=vit(pair.inputs))
    for name, options in every_option():
        agree(explainers.METHODS[name](masked, **options).values, LITERAL[name](literal, **options))


@pytest.mark.parametrize("mask", [{0: [1], 2: [0]}, {1: [0, 1]}], ids=["some", "a-whole-layer"])
def test_a_map_with_masked_heads_is_that_of_the_pruned_model(
    pair: Twins, mask: dict[int, list[int]]
) -> None:
    masked = vaw.trace(pair.model, pair.inputs, TARGET, head_mask=mask)
    small = vaw.trace(vaw.prune_heads(pair.model, mask), pair.inputs, TARGET)
    for name, options in every_option():
        method = explainers.METHODS[name]
        agree(method(masked, **options).values, method(small, **options).values)


def test_a_layer_without_heads_passes_nothing() -> None:
    ours = twins("vit")
    masked = vaw.trace(ours.model, ours.inputs, TARGET, head_mask={1: [0, 1]})
    for fusion in ("mean", "max", "min"):
        assert (explainers.attention(masked, head_fusion=fusion).values[:, 1] == 0).all()
        rolled = explainers.rollout(masked, head_fusion=fusion).values
        agree(rolled[:, 1], rolled[:, 0], 1e-15)
    assert (head_weights(masked, 1) == 0).all()


def test_gradcam_of_the_last_tokens_is_nothing_where_one_token_is_read_out() -> None:
    after = explainers.gradcam(twins("vit").trace, tokens="after").values
    assert (after[:, -1] == 0).all()
    before = explainers.gradcam(twins("vit").trace, tokens="before").values
    agree(before[:, 1:], after[:, :-1])
    assert before[:, -1].abs().sum() > 0


def test_the_target_is_named() -> None:
    ours = twins("vit").trace
    assert explainers.daam(ours).target == ours.target.name
    assert explainers.rollout(ours).target != ours.target.name


@pytest.mark.parametrize("method", explainers.METHODS)
def test_query_chunks_do_not_change_a_map(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ours = twins("vit-non-square")
    whole = explainers.METHODS[method](ours.trace).values
    chunks = vaw.Trace.attention_chunks
    monkeypatch.setattr(vaw.Trace, "attention_chunks", lambda t, layer: chunks(t, layer, size=7))
    agree(explainers.METHODS[method](ours.trace).values, whole, 1e-13)


@pytest.mark.parametrize(
    ("method", "options", "words"),
    [
        ("attention", {"head_fusion": "median"}, "'median'.*'mean', 'max' or 'min'"),
        ("rollout", {"head_fusion": "sum"}, "'sum'.*'mean'"),
        ("rollout", {"discard_ratio": 1.0}, r"1\.0.*below 1"),
        ("rollout", {"discard_ratio": -0.1}, r"-0\.1"),
        ("rollout", {"discard_ratio": float("nan")}, "nan"),
        ("rollout", {"residual_weight": -1}, "-1.*at least 0"),
        ("gmar", {"gradient_norm": "l3"}, "'l3'.*'l1' or 'l2'"),
        ("gmar", {"update": "chain"}, "'chain'.*'rollout' or 'paper'"),
        ("gmar", {"residual_weight": -0.5}, r"-0\.5"),
        ("gmar", {"residual_weight": -0.5, "update": "paper"}, r"-0\.5"),
        ("gmar", {"residual_weight": float("nan")}, "nan"),
        ("gradient_rollout", {"head_fusion": "median"}, "'median'.*'mean', 'max' or 'min'"),
        ("gradient_rollout", {"discard_ratio": 1.5}, r"1\.5.*below 1"),
        ("gradient_rollout", {"residual_weight": -1}, "-1.*at least 0"),
        ("gradcam", {"tokens": "inside"}, "'inside'.*'normed', 'before' or 'after'"),
        ("legrad", {"readout": "max"}, "'max'.*'model', 'mean' or 'cls'"),
        ("legrad", {"start": 3}, "3.*0 to 2"),
        ("legrad", {"start": -1}, "-1.*0 to 2"),
    ],
)
def test_options_that_do_not_exist(method: str, options: dict[str, Any], words: str) -> None:
    with pytest.raises(ParameterError, match=words):
        explainers.METHODS[method](twins("vit").trace, **options)


@pytest.mark.parametrize("method", explainers.METHODS)
def test_unknown_keywords_are_refused(method: str) -> None:
    with pytest.raises(TypeError, match="target_layer"):
        explainers.METHODS[method](twins("vit").trace, target_layer=-1)


@pytest.mark.parametrize(
    ("method", "old", "new"),
    [
        ("rollout", {"alpha": 0.5}, {"residual_weight": 0.5}),
        ("gradient_rollout", {"alpha": 0.5}, {"residual_weight": 0.5}),
        ("gmar", {"norm": "l2", "alpha": 0.5}, {"gradient_norm": "l2", "residual_weight": 0.5}),
        ("daam", {"norm": True}, {"normalize": True}),
    ],
)
def test_old_keywords_work_for_one_release(
    method: str, old: dict[str, Any], new: dict[str, Any]
) -> None:
    trace, explain = twins("vit").trace, explainers.METHODS[method]
    with pytest.warns(DeprecationWarning, match="is now"):
        maps = explain(trace, **old)
    assert torch.equal(maps.values, explain(trace, **new).values)


def test_maps_leave_the_notebook_and_come_back(tmp_path: Path) -> None:
    trace = twins("vit").trace
    maps = explainers.daam(trace)
    maps.save(tmp_path / "maps.safetensors")
    again = explainers.Attribution.load(tmp_path / "maps.safetensors")
    assert torch.equal(again.values, maps.values)
    assert (again.method, again.target) == (maps.method, maps.target)
    table = maps.to_dataframe()
    assert list(table) == ["image", "layer", "row", "col", "value"]
    assert len(table) == maps.values.numel()
    assert maps.to_xarray()["value"].dims == ("image", "layer", "row", "col")
    assert maps.plot(layer=0).get_title() == maps.target
    with pytest.raises(ParameterError, match="no layer"):
        maps.plot(layer=99)
    assert "data:image/png" in maps._repr_html_()
    assert explainers.rollout(trace).class_agnostic
    assert not maps.class_agnostic


def test_class_agnostic_is_a_fact_and_not_read_off_the_target(tmp_path: Path) -> None:
    values = torch.rand(1, 2, 3, 3)
    named = explainers.Attribution(values, "mine", "any class")  # a prompt may be called so
    assert not named.class_agnostic
    agnostic = explainers.Attribution(values, "mine", "photo", class_agnostic=True)
    agnostic.save(tmp_path / "maps.safetensors")
    assert explainers.Attribution.load(tmp_path / "maps.safetensors").class_agnostic
    about = {"method": "rollout", "target": "any class"}  # as an earlier release wrote it
    write_tensors(tmp_path / "old.safetensors", "attribution", {"values": values}, about)
    assert explainers.Attribution.load(tmp_path / "old.safetensors").class_agnostic
