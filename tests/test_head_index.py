"""Layers and heads by number, in every form in which they are given."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from models import BY_NAME
from twins import twins

import vit_attention_widget as vaw
from vit_attention_widget.errors import ParameterError
from vit_attention_widget.models.head_index import (
    check_heads,
    check_pairs,
    head_index,
    head_pairs,
    heads_by_layer,
    layer_index,
)

VIT = twins("vit").trace.model
"""3 layers of 2 heads."""


@pytest.mark.parametrize("integer", [int, np.int64, np.uint8, torch.tensor, np.array])
def test_layers_are_integers_of_any_kind(integer: type) -> None:
    index = layer_index(VIT, integer(2))
    assert (index, type(index)) == (2, int)


def test_negative_layers_count_from_the_end() -> None:
    assert [layer_index(VIT, layer) for layer in (-1, -2, -3)] == [2, 1, 0]
    assert layer_index(VIT, np.int64(-1)) == 2


@pytest.mark.parametrize(
    "layer", [3, -4, 1.0, "1", None, True, np.float32(1), [1], np.array([1.0])]
)
def test_layers_that_do_not_exist(layer: object) -> None:
    with pytest.raises(ParameterError, match=r"There is no layer .*3 layers, 0 to 2, or -3 to -1"):
        layer_index(VIT, layer)


def test_heads_do_not_count_from_the_end() -> None:
    assert head_index(VIT, -1, np.int32(1)) == 1
    with pytest.raises(ParameterError, match=r"no head -1 in layer 2.*0 to 1. Only layers count"):
        head_index(VIT, -1, -1)
    for head in (2, -3, 0.5, "0", True):
        with pytest.raises(ParameterError, match=r"There is no head .* it has 2, 0 to 1\.$"):
            head_index(VIT, 0, head)


FORMS = {
    "dict": {-1: [1, 0, 1], 0: (1,)},
    "dict of arrays": {2: np.array([0, 1]), 0: torch.tensor([1])},
    "a layer by both names": {-1: [0], 2: {1}, 0: range(1, 2), 1: []},
    "pairs": [(2, 1), (0, 1), (-1, 0), (0, 1)],
    "lists": [[2, 1], [0, 1], [2, 0]],
    "a set": {(2, 1), (0, 1), (2, 0)},
    "array": np.array([[2, 1], [0, 1], [-1, 0]]),
    "tensor": torch.tensor([[2, 1], [0, 1], [-1, 0]]),
    "rows": list(torch.tensor([[2, 1], [0, 1], [-1, 0]])),
    "numpy integers": [(np.int64(2), np.uint8(1)), (np.int64(0), 1), (2, torch.tensor(0))],
}


@pytest.mark.parametrize("form", list(FORMS))
def test_heads_in_every_form(form: str) -> None:
    checked = check_heads(VIT, FORMS[form])
    assert list(checked.items()) == [(0, (1,)), (2, (0, 1))]
    assert {type(n) for layer, heads in checked.items() for n in (layer, *heads)} == {int}


def test_an_iterator_of_pairs() -> None:
    assert check_heads(VIT, (pair for pair in [(2, 1), (0, 0)])) == {0: (0,), 2: (1,)}
    assert check_heads(VIT, zip([-1, -1], [0, 1], strict=True)) == {2: (0, 1)}


@pytest.mark.parametrize("nothing", [{}, [], (), np.zeros((0, 2), int), torch.zeros(0, 2).long()])
def test_no_heads(nothing: object) -> None:
    assert check_heads(VIT, nothing) == {}


def test_pairs_keep_their_order() -> None:
    assert check_pairs(VIT, [(2, 1), (0, 1), (-1, 1)]) == [(2, 1), (0, 1), (2, 1)]
    assert head_pairs(heads_by_layer([(2, 1), (0, 1), (2, 0)])) == [(2, 1), (2, 0), (0, 1)]


@pytest.mark.parametrize(
    ("heads", "words"),
    [
        (3, r"heads are 3: give a dict, \{layer: \[heads\]\}, or a list of \(layer, head\) pairs"),
        (None, "heads are None"),
        ("01", "heads are '01'"),
        ((0, 1), r"Item 0 of the heads is 0: \(layer, head\) was expected, as in \[\(0, 1\)"),
        ([(0, 1), (1,)], r"Item 1 of the heads is \(1,\)"),
        ([(0, 1, 2)], r"Item 0 of the heads is \(0, 1, 2\)"),
        (["01"], "Item 0 of the heads is '01'"),
        (np.array([0, 1]), "Item 0 of the heads is 0"),
        (np.array(1), r"heads are array\(1\)"),
        (np.array([[0.0, 1.0]]), r"There is no layer 0\.0"),
        (np.ones((3, 2), bool), "There is no layer True"),
        (np.zeros((1, 3), int), r"Item 0 of the heads is \[0, 0, 0\]"),
        ([(3, 0)], "There is no layer 3"),
        ([(0, -1)], "There is no head -1 in layer 0.*Only layers count from the end"),
        ({0: 1}, r"The heads of layer 0 are 1: give a list, \{0: \[heads\]\}"),
        ({-1: "1"}, "The heads of layer 2 are '1'"),
        ({0: torch.tensor(1)}, r"The heads of layer 0 are tensor\(1\)"),
        ({0: [2]}, "There is no head 2 in layer 0: it has 2, 0 to 1"),
        ({"last": [0]}, "There is no layer 'last'"),
    ],
)
def test_what_is_no_list_of_heads(heads: object, words: str) -> None:
    with pytest.raises(ParameterError, match=words):
        check_heads(VIT, heads)


# --- everything that takes heads -----------------------------------------------------------------


def test_masks_are_taken_as_pairs() -> None:
    pair = twins("vit")
    model, inputs = pair.model, pair.inputs
    pairs, by_layer = [(-1, 1), (0, 0)], {0: [0], 2: [1]}
    expected = vaw.trace(model, inputs, head_mask=by_layer)
    trace = vaw.trace(model, inputs, head_mask=np.array(pairs))
    assert trace.head_mask == {0: (0,), 2: (1,)}
    assert torch.equal(trace.logits, expected.logits)
    with torch.no_grad(), vaw.masked_heads(model, iter(pairs)):
        for _ in range(2):
            torch.testing.assert_close(model(inputs), expected.logits)
    importance = vaw.head_importance(model, list(inputs), head_mask=iter(pairs), max_batch=1)
    assert importance.values[:, [0, 2], [0, 1]].isnan().all()
    assert importance.values.isnan().sum() == 2 * len(inputs)
    labels = expected.logits.argmax(-1).tolist()
    assert vaw.accuracy(model, list(inputs), labels, head_mask=iter(pairs)) == 1


def test_the_least_important_heads_are_pruned() -> None:
    tiny = BY_NAME["vit"]
    model, inputs = tiny.build(), tiny.inputs()
    least = vaw.head_importance(model, inputs).ranking()[-2:]
    small = vaw.prune_heads(model, least)
    assert vaw.pruning_of(small).cut == {
        layer: tuple(sorted(heads)) for layer, heads in heads_by_layer(least).items()
    }
    with torch.no_grad(), vaw.masked_heads(model, least):
        torch.testing.assert_close(small(inputs), model(inputs))
    with pytest.raises(ParameterError, match="heads are None"):
        vaw.prune_heads(model, None)


def test_a_saved_pruning_of_the_last_layer(tmp_path: Path) -> None:
    tiny = BY_NAME["vit"]
    model, inputs = tiny.build(), tiny.inputs()
    small = vaw.prune_heads(model, {-1: [0]})
    assert vaw.pruning_of(small).cut == {2: (0,)}
    vaw.save_pruned(small, tmp_path / "small.safetensors")
    again = vaw.load_pruned(model, tmp_path / "small.safetensors")
    assert torch.equal(again(inputs), small(inputs))


def test_an_order_of_pruning_in_every_form() -> None:
    pair = twins("vit")
    order = [(2, 1), (0, 0), (1, 1)]
    expected = vaw.pruning_curve(pair.model, pair.inputs[:1], order=order)
    for same in ([(-1, 1), (0, 0), (1, 1)], np.array(order), {-1: [1], 0: [0], 1: [1]}):
        curve = vaw.pruning_curve(pair.model, pair.inputs[:1], order=same)
        assert curve.order == expected.order == order
        assert torch.equal(curve.values, expected.values)
    with pytest.raises(ParameterError, match="names a head twice"):
        vaw.pruning_curve(pair.model, pair.inputs[:1], order=[(2, 1), (-1, 1)])


def test_the_last_layer_by_its_short_name() -> None:
    trace = twins("vit").trace
    assert torch.equal(trace.attention(-1), trace.attention(2))
    assert torch.equal(trace.attention_gradient(-1, 0), trace.attention_gradient(2, 0))
    assert torch.equal(trace.output_gradient(-2), trace.output_gradient(1))
    assert torch.equal(trace.token_gradient(-1), trace.token_gradient(2))
    for (rows, last), (same_rows, same) in zip(
        trace.attention_chunks(-1, 5), trace.attention_chunks(2, 5), strict=True
    ):
        assert rows == same_rows
        assert torch.equal(last, same)
    partial, same = (vaw.partial_pruning(trace, layer=layer, head=0) for layer in (-1, 2))
    assert partial.layer == same.layer == 2
    assert torch.equal(partial.probability, same.probability)
    attribution = vaw.explainers.daam(trace)
    scores = [
        vaw.evaluation.scores_of(trace, attribution, layer=layer, steps=2) for layer in (-2, 1)
    ]
    assert [score.layer for score in scores] == [1, 1]
    assert torch.equal(scores[0].insertion.values, scores[1].insertion.values)
    with pytest.raises(ParameterError, match="There is no layer -4"):
        vaw.evaluation.scores_of(trace, attribution, layer=-4)


def test_a_session_takes_heads_and_layers_in_every_form() -> None:
    tiny = BY_NAME["vit"]
    session = vaw.Session(tiny.build(), tiny.inputs()[0], selected_layer=-2)
    try:
        assert session.selected_layer == 1
        for heads in (
            np.array([[2, 1], [0, 0]]),
            {-1: [1], 0: np.array([0])},
            iter([(-1, 1), (0, 0)]),
        ):
            session.pruned_heads = heads
            assert session.pruned_heads == [(0, 0), (2, 1)]
            session.pruned_heads = []
        with pytest.raises(ParameterError, match="There is no head 7 in layer 2"):
            session.pruned_heads = [(-1, 7)]
    finally:
        session.close()


def test_windows_count_blocks_from_the_end() -> None:
    from test_windows import found_in

    windows = found_in("padded")
    assert torch.equal(windows.received(-1), windows.received(len(windows.blocks) - 1))
    assert torch.equal(windows.from_patch(-4, 1, 1), windows.from_patch(0, 1, 1))
