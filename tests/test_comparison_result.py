"""A comparison as tables, files and pictures."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import torch

import vit_attention_widget as vaw
from vit_attention_widget.comparison.result import Comparison, MapOf
from vit_attention_widget.errors import ParameterError


@pytest.fixture(scope="module")
def trace() -> vaw.Trace:
    return vaw.trace(vaw.demo.load_model(), vaw.demo.scene(seed=3).image)


@pytest.fixture(scope="module")
def comparison(trace: vaw.Trace) -> Comparison:
    return vaw.compare(trace, methods=["daam", "rollout", "attention"])


def test_values_are_a_tensor_of_named_axes(comparison: Comparison) -> None:
    assert isinstance(comparison.values, torch.Tensor)
    assert comparison.axes == ("map", "row", "col")
    assert comparison.values.shape == (3, 10, 10)


def test_xarray_finds_maps_by_name(comparison: Comparison) -> None:
    data = comparison.to_xarray()
    np.testing.assert_array_equal(data["value"].sel({"map": "rollout"}), comparison.values[1])
    table = data["rank_correlation"]
    assert table.dims == ("map", "other")
    assert float(table.sel({"map": "daam", "other": "daam"})) == 1


def test_a_table_has_a_row_for_each_pair(comparison: Comparison, tmp_path: Path) -> None:
    rows = comparison.rows()
    assert [(row["map"], row["other"]) for row in rows] == [
        ("rollout", "daam"),
        ("attention", "daam"),
        ("attention", "rollout"),
    ]
    assert rows[2]["rank_correlation"] == comparison.rank_correlation[2, 1]
    comparison.to_csv(tmp_path / "maps.csv")
    with open(tmp_path / "maps.csv", newline="", encoding="utf-8") as file:
        read = list(csv.DictReader(file))
    assert float(read[0]["rank_correlation"]) == rows[0]["rank_correlation"]


def test_a_file_gives_back_everything(tmp_path: Path) -> None:
    constant = np.stack([np.zeros((2, 3)), np.arange(6.0).reshape(2, 3)]).astype(np.float32)
    items = [MapOf("daam", "cat", 2), MapOf("gmar", "cat", 2, 1, "small")]
    saved = Comparison.of(constant, items, {"legrad": "not this model"})
    saved.save(tmp_path / "maps.safetensors")
    loaded = Comparison.load(tmp_path / "maps.safetensors")
    assert torch.equal(loaded.values, saved.values)
    assert loaded.items == saved.items
    assert loaded.skipped == {"legrad": "not this model"}
    np.testing.assert_array_equal(loaded.rank_correlation, saved.rank_correlation)
    assert np.isnan(loaded.rank_correlation[0, 1])
    with pytest.raises(ParameterError, match="holds comparison, not attention strength"):
        vaw.AttentionStrength.load(tmp_path / "maps.safetensors")


def test_a_notebook_shows_the_maps_and_their_correlations(comparison: Comparison) -> None:
    html = comparison._repr_html_()
    assert html.count("<img") == 4
    assert "rollout" in html


def test_the_picture_is_drawn_into_axes(comparison: Comparison) -> None:
    plt = pytest.importorskip("matplotlib.pyplot")
    figure, ax = plt.subplots()
    assert comparison.plot(ax) is ax
    assert len(ax.images) == 1
    plt.close(figure)
    whole = comparison.plot()
    shown = [axes for axes in whole.figure.axes if axes.images]
    assert [axes.get_title() for axes in shown[:3]] == list(comparison.names)
    assert shown[3] is whole
    whole.figure.savefig("/dev/null", format="png")
    plt.close(whole.figure)


def test_progress_may_be_a_bar(trace: vaw.Trace, capsys: pytest.CaptureFixture[str]) -> None:
    vaw.compare(trace, methods=["daam", "rollout"], progress=True)
    assert "comparing maps" in capsys.readouterr().err
