"""Importances, curves, parts of heads and overviews share tables, files, pictures and progress."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import pytest
import torch
from torch import Tensor

import vit_attention_widget as vaw
from vit_attention_widget.errors import ParameterError
from vit_attention_widget.results.named_values import NamedValues

MODEL = vaw.demo.load_model()
SCENES = [vaw.demo.scene(seed=s) for s in range(4)]
PAIRS = [(scene.image, scene.label) for scene in SCENES]
IMAGES = [scene.image for scene in SCENES]

RESULTS: dict[str, Callable[[], NamedValues]] = {
    "importance": lambda: vaw.head_importance(
        MODEL, IMAGES, metric=["taylor", "jsd"], head_mask={0: [1]}
    ),
    "importance of a feature": lambda: vaw.head_importance(
        MODEL, IMAGES[0], lambda logits: logits[:, 1] - logits[:, 0], metric="taylor"
    ),
    "curve": lambda: vaw.pruning_curve(MODEL, IMAGES, order="taylor", steps=3),
    "a budget": lambda: vaw.prune_to(MODEL, PAIRS, heads=22, held_out=0.5),
    "interactions": lambda: vaw.head_interactions(
        MODEL, IMAGES[:2], metric="taylor", heads=[(0, 1), (5, 2)]
    ),
    "parts of a head": lambda: vaw.partial_pruning(MODEL, IMAGES, layer=-1, head=2),
    "overview": lambda: vaw.image_overview(MODEL, PAIRS, metric="taylor"),
    "overview without labels": lambda: vaw.image_overview(MODEL, IMAGES, metric="taylor"),
}


@pytest.fixture(scope="module", params=RESULTS)
def result(request: pytest.FixtureRequest) -> NamedValues:
    return RESULTS[request.param]()


def test_a_file_holds_all_of_it(result: NamedValues, tmp_path: Path) -> None:
    path = tmp_path / "result.safetensors"
    result.save(path)
    loaded = type(result).load(path)
    torch.testing.assert_close(loaded.values, result.values, equal_nan=True, rtol=0, atol=0)
    assert str(loaded.rows()) == str(result.rows())
    assert repr(loaded) == repr(result)
    assert loaded._to_parts()[1] == result._to_parts()[1]
    for name, values in result._to_parts()[0].items():
        assert torch.equal(loaded._to_parts()[0][name].nan_to_num(-9.0), values.nan_to_num(-9.0))


def test_a_file_of_something_else_is_refused(result: NamedValues, tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    vaw.attention_strength(MODEL, IMAGES[0]).save(path)
    with pytest.raises(ParameterError, match="holds attention strength, not"):
        type(result).load(path)


def test_values_are_a_tensor_with_named_axes(result: NamedValues) -> None:
    assert isinstance(result.values, Tensor)
    data = result.to_xarray()
    sizes = dict(zip(result.axes, result.values.shape, strict=True))
    assert {axis: data.sizes[axis] for axis in data.sizes} == {
        axis: sizes[axis] for axis in data.sizes
    }
    for name in data.variables:
        if name not in data.coords:
            assert set(data[name].dims) <= set(result.axes)


def test_a_table_has_a_row_for_each_value(result: NamedValues, tmp_path: Path) -> None:
    frame = result.to_dataframe()
    rows = result.rows()
    assert len(frame) == len(rows) > 0
    assert list(frame.columns) == list(rows[0])
    result.to_csv(tmp_path / "table.csv")
    assert len((tmp_path / "table.csv").read_text().splitlines()) == 1 + len(rows)


def test_a_notebook_shows_it_and_axes_take_it(result: NamedValues) -> None:
    assert "<div" in result._repr_html_()
    any_result: Any = result
    _, ax = plt.subplots()
    assert any_result.plot(ax) is ax
    assert any_result.plot() is not ax
    plt.close("all")


def test_text_of_users_is_no_html() -> None:
    importance = vaw.head_importance(MODEL, IMAGES[0], metric="taylor")
    object.__setattr__(importance, "target", "<script>")
    assert "<script>" not in importance._repr_html_()


CALLS: dict[str, Callable[[Any], object]] = {
    "head_importance": lambda progress: vaw.head_importance(MODEL, PAIRS, progress=progress),
    "pruning_curve": lambda progress: vaw.pruning_curve(
        MODEL, PAIRS, order="greedy", steps=2, progress=progress
    ),
    "prune_to": lambda progress: vaw.prune_to(MODEL, PAIRS, heads=22, progress=progress),
    "head_interactions": lambda progress: vaw.head_interactions(
        MODEL, PAIRS, metric="taylor", heads=[(0, 1), (5, 2)], progress=progress
    ),
    "image_overview": lambda progress: vaw.image_overview(
        MODEL, PAIRS, metric="taylor", progress=progress
    ),
    "accuracy": lambda progress: vaw.accuracy(MODEL, PAIRS, progress=progress),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=list(CALLS))
def test_progress_is_said_in_one_way(
    call: Callable[[Any], object], capsys: pytest.CaptureFixture[str]
) -> None:
    fractions: list[float] = []
    call(lambda fraction, label: fractions.append(fraction))
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1
    capsys.readouterr()
    call(True)
    assert "100%" in capsys.readouterr().err
    with pytest.raises(ParameterError, match="progress is 'yes'"):
        call("yes")
