"""Evaluations, sanity checks, scores and curves as tables, files and pictures; traces as input."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from models import BY_NAME

import vit_attention_widget as vaw
from vit_attention_widget import evaluation
from vit_attention_widget.errors import CaptureError, ImageError, ParameterError, VitAttentionError
from vit_attention_widget.evaluation import Curve, Evaluation, SanityCheck, Scores
from vit_attention_widget.evaluation.result import Part

SCENES = [vaw.demo.scene(seed=2_000_100 + seed) for seed in range(3)]
IMAGES = [scene.image for scene in SCENES]
MASKS = [scene.mask for scene in SCENES]
OPTIONS: dict[str, Any] = {
    "methods": ["daam", "rollout"],
    "metrics": ["insertion", "average_drop", "pointing"],
    "steps": 3,
}


@cache
def table() -> Evaluation:
    return vaw.evaluate(vaw.demo.load_model(), IMAGES, masks=MASKS, **OPTIONS)


@cache
def traced(target: str | None = None) -> vaw.Trace:
    return vaw.trace(vaw.demo.load_model(), IMAGES, target)


# A trace in place of the model ------------------------------------------------


def test_a_trace_is_evaluated_as_it_is() -> None:
    scored = vaw.evaluate(traced(), masks=MASKS, **OPTIONS)
    torch.testing.assert_close(scored.values, table().values)
    again = vaw.evaluate(traced(), None, "star", masks=MASKS, **OPTIONS)
    expected = vaw.evaluate(vaw.demo.load_model(), IMAGES, "star", masks=MASKS, **OPTIONS)
    torch.testing.assert_close(again.values, expected.values)


def test_masked_heads_of_a_trace_stay_masked() -> None:
    heads = {1: [0, 2]}
    trace = vaw.trace(vaw.demo.load_model(), IMAGES, head_mask=heads)
    scored = vaw.evaluate(trace, masks=MASKS, **OPTIONS)
    expected = vaw.evaluate(vaw.demo.load_model(), IMAGES, masks=MASKS, head_mask=heads, **OPTIONS)
    torch.testing.assert_close(scored.values, expected.values)


@pytest.mark.parametrize("extra", [{"images": IMAGES}, {"head_mask": {0: [1]}}])
def test_a_trace_has_its_own_images_and_heads(extra: dict[str, Any]) -> None:
    with pytest.raises(ParameterError, match=next(iter(extra))):
        vaw.evaluate(traced(), **extra)


def test_masks_of_a_trace_have_the_size_of_its_inputs() -> None:
    with pytest.raises(ParameterError, match="3 x 3"):
        vaw.evaluate(traced(), masks=[np.ones((3, 3), bool)] * 3, **OPTIONS)
    with pytest.raises(ParameterError, match="2 masks were given for 3 images"):
        vaw.evaluate(traced(), masks=MASKS[:2], **OPTIONS)


def test_without_images() -> None:
    with pytest.raises(ImageError, match="There are no images"):
        vaw.evaluate(vaw.demo.load_model())


def test_a_trace_is_checked_as_it_is() -> None:
    tiny = BY_NAME["vit"]
    model, inputs = tiny.build(), tiny.inputs()
    expected = evaluation.sanity_check(model, inputs, methods=["daam", "rollout"])
    checked = evaluation.sanity_check(vaw.trace(model, inputs), methods=["daam", "rollout"])
    assert torch.equal(checked.values, expected.values)
    other = evaluation.sanity_check(vaw.trace(model, inputs), None, 1, methods="daam")
    assert torch.equal(
        other.values, evaluation.sanity_check(model, inputs, 1, methods="daam").values
    )
    masked = vaw.trace(model, inputs, head_mask={2: [0]})
    assert evaluation.sanity_check(masked, methods="daam").values.shape == (5, 3, 2)
    with pytest.raises(ParameterError, match="images"):
        evaluation.sanity_check(masked, inputs)


# Tables ------------------------------------------------


def test_an_evaluation_in_xarray() -> None:
    data = table().to_xarray()
    assert data["pointing"].dims == ("image", "method")
    assert data["method"].values.tolist() == ["daam", "rollout", "center", "random"]
    np.testing.assert_array_equal(
        data["insertion"].sel({"method": "rollout"}), table().of("rollout", "insertion")
    )
    curve = data["insertion curve"]
    assert curve.dims == ("image", "method", "insertion fraction")
    fractions, mean = table().curve("daam", "insertion")
    np.testing.assert_allclose(data["insertion fraction"], fractions)
    np.testing.assert_allclose(curve.sel({"method": "daam"}).mean("image"), mean, rtol=1e-6)


def test_a_curve_as_a_table() -> None:
    curve = Curve(torch.tensor([0.0, 0.5, 1.0]), torch.tensor([[1.0, 0.5, 0.0], [1.0, 1.0, 0.0]]))
    assert curve.area.tolist() == [0.5, 0.75]
    assert curve.rows()[1] == {"image": 0, "fraction": 0.5, "value": 0.5}
    assert curve.to_dataframe().shape == (6, 3)
    assert float(curve.to_xarray()["value"].sel(image=1, fraction=0.5)) == 1


def scores() -> Scores:
    trace = vaw.trace(vaw.demo.load_model(), IMAGES[0])
    return evaluation.scores_of(trace, vaw.explainers.daam(trace), steps=4, layer=-2)


def test_scores_as_a_table() -> None:
    scored = scores()
    assert scored.layer == 4
    assert scored.values.shape == (2, 1, 5)
    assert torch.equal(scored.values[1], scored.deletion.values)
    assert list(scored.to_dataframe().columns) == ["image", "fraction", "insertion", "deletion"]
    data = scored.to_xarray()
    assert data.attrs == {"method": "daam", "target": scored.target, "layer": 4}
    np.testing.assert_allclose(data["deletion area"], scored.deletion.area)


def check() -> SanityCheck:
    return SanityCheck(
        torch.rand(3, 2, 4) * 0.1, ("readout", "layer 0", "embedding"), ("a", "b"), 0.5
    )


def test_a_sanity_check_in_xarray() -> None:
    checked = check()
    assert checked.to_xarray()["correlation"].dims == ("stage", "method", "image")
    np.testing.assert_array_equal(
        checked.to_xarray()["correlation"].sel({"stage": "layer 0", "method": "b"}),
        checked.values[1, 1],
    )


# Files ------------------------------------------------


def test_an_evaluation_in_a_file(tmp_path: Path) -> None:
    table().save(tmp_path / "table.safetensors")
    loaded = Evaluation.load(tmp_path / "table.safetensors")
    assert torch.equal(loaded.values, table().values)
    assert loaded.summary() == table().summary()
    assert loaded.metrics == table().metrics
    assert torch.equal(loaded.curve("daam", "insertion")[1], table().curve("daam", "insertion")[1])
    assert loaded.error is None
    with pytest.raises(ParameterError, match="holds evaluation, not scores"):
        Scores.load(tmp_path / "table.safetensors")


def test_what_went_wrong_in_a_file(tmp_path: Path) -> None:
    broken = Evaluation(
        (Part(torch.full((1, 3, 1), torch.nan), {}),),
        ("daam", "center", "random"),
        ("energy",),
        {"energy": "higher"},
        {},
        OSError("the disk is gone"),
        {"daam": CaptureError("cannot be seen")},
    )
    broken.save(tmp_path / "broken")
    loaded = Evaluation.load(tmp_path / "broken")
    assert isinstance(loaded.error, VitAttentionError)
    assert str(loaded.error) == "OSError: the disk is gone"
    assert str(loaded.failed["daam"]) == "cannot be seen"
    assert loaded.values.isnan().all()


def test_scores_curves_and_checks_in_files(tmp_path: Path) -> None:
    saved = scores()
    saved.save(tmp_path / "scores")
    loaded = Scores.load(tmp_path / "scores")
    assert torch.equal(loaded.values, saved.values)
    assert torch.equal(loaded.insertion.area, saved.insertion.area)
    assert (loaded.method, loaded.target, loaded.layer) == ("daam", saved.target, 4)
    saved.insertion.save(tmp_path / "curve")
    assert torch.equal(Curve.load(tmp_path / "curve").values, saved.insertion.values)
    sanity = check()
    sanity.save(tmp_path / "check")
    again = SanityCheck.load(tmp_path / "check")
    assert torch.equal(again.values, sanity.values)
    assert (again.stages, again.methods, again.limit) == (sanity.stages, sanity.methods, 0.5)


# Pictures and notebooks ------------------------------------------------


def test_notebooks() -> None:
    html = table()._repr_html_()
    assert "insertion ↑" in html
    assert "average_drop ↓" in html
    assert html.count("<tr>") == 5
    assert "unchanged" in SanityCheck(torch.ones(1, 1, 1), ("all",), ("<b>",), 0.5)._repr_html_()
    assert "<b>" not in SanityCheck(torch.ones(1, 1, 1), ("all",), ("<b>",), 0.5)._repr_html_()
    assert "<table" in scores()._repr_html_()
    broken = Evaluation(
        (Part(torch.zeros(1, 1, 1), {}),), ("<i>",), ("<u>",), {"<u>": "lower"}, {}, OSError("<s>")
    )
    html = broken._repr_html_()
    assert not any(bad in html for bad in ("<i>", "<u>", "<s>"))
    assert "Stopped early: &lt;s&gt;" in html


def test_pictures_are_drawn_into_axes() -> None:
    plt = pytest.importorskip("matplotlib.pyplot")
    results: tuple[Any, ...] = (table(), check(), scores(), scores().insertion)
    for result in results:
        ax = plt.subplots()[1]
        assert result.plot(ax) is ax
        assert ax.lines
        assert result.plot() is not ax
        plt.close("all")


# Progress ------------------------------------------------


def test_progress_may_be_a_bar(capsys: pytest.CaptureFixture[str]) -> None:
    vaw.evaluate(traced(), progress=True, **{**OPTIONS, "metrics": "increase"})
    assert "100%" in capsys.readouterr().err
    tiny = BY_NAME["vit"]
    evaluation.sanity_check(tiny.build(), tiny.inputs(), methods="daam", progress=True)
    assert "done" in capsys.readouterr().err
    trace = vaw.trace(vaw.demo.load_model(), IMAGES[0])
    for measure in (evaluation.deletion, evaluation.average_drop, evaluation.scores_of):
        measure(trace, vaw.explainers.daam(trace), progress=True)
        assert "hiding patches" in capsys.readouterr().err


def test_steps_close_their_bar(capsys: pytest.CaptureFixture[str]) -> None:
    steps = vaw.evaluate_steps(traced(), progress=True, methods="daam", metrics="increase")
    assert capsys.readouterr().err == ""
    assert len(next(steps)) == 3
    steps.close()  # type: ignore[attr-defined]
    assert capsys.readouterr().err.endswith("\n")
