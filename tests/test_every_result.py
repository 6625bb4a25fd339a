"""Every class of results: pandas, xarray, axes of matplotlib, a file, a cell of a notebook."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas
import pytest
import timm
import torch
import xarray

import vit_attention_widget as vaw
from vit_attention_widget import evaluation

SCENES = [vaw.demo.scene(seed=seed) for seed in range(2)]
IMAGES = [scene.image for scene in SCENES]
LABELED = [(scene.image, scene.label) for scene in SCENES]


@cache
def model() -> Any:
    return vaw.demo.load_model()


@cache
def trace() -> vaw.Trace:
    return vaw.trace(model(), IMAGES)


@cache
def scores() -> Any:
    return evaluation.scores_of(trace(), vaw.explainers.attention(trace()), steps=2)


def windows() -> vaw.WindowAttention:
    swin = timm.create_model(
        "swin_tiny_patch4_window7_224", img_size=32, window_size=4, depths=(1, 1),
        embed_dim=16, num_heads=(1, 2),
    )  # fmt: skip
    return vaw.window_attention(swin.eval(), torch.randn(1, 3, 32, 32))


@pytest.fixture(scope="module")
def results(patterns: vaw.AttentionPatterns) -> dict[str, Callable[[], Any]]:
    """By the name of their class."""
    return {
        "Attribution": lambda: vaw.explainers.attention(trace()),
        "AttentionPatterns": lambda: patterns,
        "AttentionStrength": lambda: vaw.attention_strength(trace()),
        "BudgetPruning": lambda: vaw.prune_to(
            model(), LABELED[:1], held_out=LABELED[1:], heads=23, order="taylor"
        ),
        "Comparison": lambda: vaw.compare(trace(), methods=["attention", "rollout"]),
        "Curve": lambda: scores().insertion,
        "Evaluation": lambda: vaw.evaluate(
            trace(), methods=["attention"], metrics=["increase"], steps=2
        ),
        "HeadImportance": lambda: vaw.head_importance(trace(), metric=["taylor"]),
        "HeadInteractions": lambda: vaw.head_interactions(model(), IMAGES, heads=[(2, 3), (3, 2)]),
        "ImageOverview": lambda: vaw.image_overview(model(), IMAGES, metric="taylor"),
        "LogitLens": lambda: vaw.logit_lens(trace()),
        "PartialPruning": lambda: vaw.partial_pruning(model(), IMAGES, layer=0, head=1),
        "PatternFamily": lambda: patterns.family("patches"),
        "PlacedHeads": lambda: patterns.place(trace())["patches"],
        "PruningCurve": lambda: vaw.pruning_curve(model(), IMAGES, order="taylor", steps=2),
        "SanityCheck": lambda: evaluation.sanity_check(model(), IMAGES[:1], methods=["attention"]),
        "Scores": scores,
        "WindowAttention": windows,
    }


def _classes() -> Iterator[type]:
    """Every class of the package that is a table."""
    for module in pkgutil.walk_packages(vaw.__path__, "vit_attention_widget."):
        if module.name.endswith(("__main__", "demo.train")):
            continue
        for name, value in vars(importlib.import_module(module.name)).items():
            own = isinstance(value, type) and value.__module__ == module.name
            if own and hasattr(value, "to_dataframe") and name != "NamedValues":
                yield value


NAMES = sorted(result.__name__ for result in _classes())


def test_each_is_in_the_table(results: dict[str, Any]) -> None:
    assert sorted(results) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_its_axes_have_names_everywhere(
    name: str, results: dict[str, Callable[[], Any]], tmp_path: Path
) -> None:
    result = results[name]()
    assert type(result).__name__ == name
    frame, data = result.to_dataframe(), result.to_xarray()
    assert isinstance(frame, pandas.DataFrame)
    assert len(frame) > 0
    assert not frame.columns.duplicated().any()
    assert isinstance(data, xarray.Dataset)
    for variable in data.data_vars.values():
        assert set(variable.dims) <= set(data.coords)  # an axis has names or numbers of its own
        assert not any(dim.startswith("dim_") for dim in variable.dims)
    shared = [c for c in frame.columns if c in data.data_vars and data[c].dtype.kind == "f"]
    for column in shared:  # both say the same of a place
        axes = [axis for axis in data[column].dims if axis in frame.columns]
        if set(axes) == set(data[column].dims):
            row = frame.iloc[-1]
            there = data[column].sel({axis: row[axis] for axis in axes})
            np.testing.assert_allclose(there.item(), row[column], rtol=1e-6)
    result.to_csv(tmp_path / "table.csv")
    rows = result.rows() if hasattr(result, "rows") else frame  # a frame may be a matrix of them
    assert len(pandas.read_csv(tmp_path / "table.csv")) == len(rows)
    result.save(tmp_path / "result.safetensors")
    again = type(result).load(tmp_path / "result.safetensors")
    pandas.testing.assert_frame_equal(again.to_dataframe(), frame)
    assert result._repr_html_()


@pytest.mark.parametrize("name", NAMES)
def test_it_is_drawn_into_the_axes_that_it_is_given(
    name: str, results: dict[str, Callable[[], Any]]
) -> None:
    result = results[name]()
    _, ax = plt.subplots()
    assert result.plot(ax) is ax
    assert ax.has_data()
    assert result.plot() is not ax
    plt.close("all")
