"""Old names of evaluation and comparison work for one release."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
import torch
from models import BY_NAME

import vit_attention_widget as vaw
from vit_attention_widget import evaluation
from vit_attention_widget.comparison.result import Comparison, MapOf
from vit_attention_widget.errors import ImageError
from vit_attention_widget.evaluation import Evaluation, SanityCheck
from vit_attention_widget.evaluation.fill import completely_hidden
from vit_attention_widget.evaluation.masks import place_mask
from vit_attention_widget.evaluation.result import Part
from vit_attention_widget.explainers import METHODS


def warned(match: str) -> Any:
    return pytest.warns(DeprecationWarning, match=match)


def table() -> Evaluation:
    values = torch.arange(3.0).view(1, 3, 1)
    return Evaluation(
        (Part(values, {}),),
        ("daam", "center", "random"),
        ("energy",),
        {"energy": "higher"},
        {},
        ImageError("no more"),
    )


def test_names_of_the_package() -> None:
    with warned(r"evaluation\.centre is now vit_attention_widget\.evaluation\.center"):
        assert evaluation.centre is evaluation.center
    with warned("LOCALISATION is now .*LOCALIZATION"):
        assert evaluation.LOCALISATION is evaluation.LOCALIZATION
    with pytest.raises(AttributeError, match="middle"):
        _ = evaluation.middle


def test_names_of_an_evaluation() -> None:
    scores = table()
    with warned(r"Evaluation\.stopped is now Evaluation\.error"):
        assert scores.stopped is scores.error
    with warned("method='centre' is now method='center'"):
        assert scores.mean("centre", "energy") == scores.mean("center", "energy") == 1


def test_names_of_a_comparison() -> None:
    maps = np.zeros((1, 2, 2), np.float32)
    items = [MapOf("daam", "cat", 0)]
    with warned(r"Comparison\.of\(left_out=\.\.\.\) is now Comparison\.of\(skipped=\.\.\.\)"):
        result = Comparison.of(maps, items, left_out={"gmar": "why"})  # type: ignore[call-arg]
    with warned(r"Comparison\.left_out is now Comparison\.skipped"):
        assert result.left_out is result.skipped


def test_the_baseline_by_its_old_name() -> None:
    scene = vaw.demo.scene(seed=1)
    with warned("methods='centre' is now methods='center'"):
        scores = vaw.evaluate(
            vaw.demo.load_model(), scene.image, methods="centre", metrics="increase"
        )
    assert scores.methods == ("center", "random")


def test_the_baseline_in_a_sanity_check() -> None:
    check = SanityCheck(torch.ones(2, 1, 3), ("readout", "embedding"), ("center",), 0.5)
    with warned("method='centre' is now method='center'"):
        assert torch.equal(check.mean("centre"), check.mean("center"))


def test_the_old_order_of_a_comparison() -> None:
    model, image = vaw.demo.load_model(), vaw.demo.scene(seed=1).image
    expected = vaw.compare(model, image, 3, methods=["daam", "rollout"], layer=[0, 1])
    new = re.escape("compare(model_or_trace, images, target, methods=..., layer=...)")
    with warned(new):
        comparison = vaw.compare(model, image, ["daam", "rollout"], 3, [0, 1])
    assert torch.equal(comparison.values, expected.values)
    with warned(new):
        comparison = vaw.compare(model, image, "daam")
    assert comparison.names == ("daam",)
    with warned(new), warned(r"compare\(targets=\.\.\.\) is now compare\(target=\.\.\.\)"):
        comparison = vaw.compare(model, image, {"mine": METHODS["daam"]}, targets=[2, 3])
    assert len(comparison) == 2
    with warned(r"compare\(model=\.\.\.\)"):
        vaw.compare(model=model, images=image, methods="daam")


def test_the_old_maps_and_picture_of_a_comparison() -> None:
    plt = pytest.importorskip("matplotlib.pyplot")
    result = Comparison.of(np.ones((1, 2, 2), np.float32), [MapOf("daam", "cat", 0)])
    with warned(r"Comparison\.maps is now Comparison\.values"):
        maps = result.maps
    assert isinstance(maps, np.ndarray)
    np.testing.assert_array_equal(maps, result.values)
    with warned(r"Comparison\.plot\(scale\) is now Comparison\.plot\(ax, scale=\.\.\.\)"):
        axes = result.plot("rank")
    plt.close(axes.figure)


def test_the_old_order_of_an_evaluation() -> None:
    model, scene = vaw.demo.load_model(), vaw.demo.scene(seed=1)
    options = {"metrics": ["average_drop", "energy"]}
    expected = vaw.evaluate(model, scene.image, 3, masks=scene.mask, methods="daam", **options)
    new = re.escape("evaluate(model_or_trace, images, target, masks=..., methods=..., metrics=...)")
    with warned(new):
        scores = vaw.evaluate(model, scene.image, scene.mask, "daam", 3, options["metrics"])
    assert torch.equal(scores.values, expected.values)
    with warned(new):
        scores = vaw.evaluate(
            model, [scene.image], [scene.mask], methods="daam", target=3, **options
        )
    assert torch.equal(scores.values, expected.values)
    with warned(re.escape("evaluate_steps(model_or_trace, images, target,")):
        scores = next(vaw.evaluate_steps(model, scene.image, None, "daam", metrics="increase"))
    assert scores.metrics == ("increase",)


@pytest.mark.parametrize("target", [3, "star", [3], torch.tensor([3]), None])
def test_a_target_is_no_mask(target: Any) -> None:
    scene = vaw.demo.scene(seed=1)
    scores = vaw.evaluate(
        vaw.demo.load_model(), [scene.image], target, methods="daam", metrics="increase"
    )
    assert len(scores) == 1


def test_updates_are_steps() -> None:
    scene = vaw.demo.scene(seed=1)
    sizes: list[int] = []
    with warned(r"evaluate\(on_update=\.\.\.\) is now a loop over evaluate_steps"):
        vaw.evaluate(
            vaw.demo.load_model(), scene.image, methods="daam", metrics="increase",
            on_update=lambda result: sizes.append(len(result)),
        )  # fmt: skip
    assert sizes == [1]


def test_the_old_order_of_a_sanity_check() -> None:
    tiny = BY_NAME["vit"]
    model, inputs = tiny.build(), tiny.inputs()
    expected = evaluation.sanity_check(model, inputs, 1, methods="daam")
    new = re.escape("sanity_check(model_or_trace, images, target, methods=...)")
    for call in (("daam", 1), (["daam"], 1)):
        with warned(new):
            check = evaluation.sanity_check(model, inputs, *call)
        assert torch.equal(check.values, expected.values)
    with warned(r"SanityCheck\.correlation is now SanityCheck\.values"):
        assert check.correlation is check.values


def test_pictures_of_a_metric() -> None:
    pytest.importorskip("matplotlib").use("Agg")
    with warned(r"Evaluation\.plot\(metric\) is now Evaluation\.plot\(ax, metric=\.\.\.\)"):
        table().plot("energy")


def test_helpers_have_an_address_of_their_own() -> None:
    with warned(r"evaluation\.filled is now .*evaluation\.fill\.completely_hidden"):
        assert evaluation.filled is completely_hidden
    with warned(r"evaluation\.place_mask is now .*evaluation\.masks\.place_mask"):
        assert evaluation.place_mask is place_mask


def test_the_score_of_a_perturbation() -> None:
    trace = vaw.trace(vaw.demo.load_model(), vaw.demo.scene(seed=1).image)
    maps = evaluation.center(trace)
    with warned("score='first' is now score='top1'"):
        old = evaluation.positive_perturbation(trace, maps, score="first")  # type: ignore[arg-type]
    assert torch.equal(old.values, evaluation.positive_perturbation(trace, maps).values)


def test_warnings_are_about_the_users_line() -> None:
    def images() -> Any:
        yield vaw.demo.scene(seed=1).image
        raise OSError("gone")

    with pytest.warns(UserWarning, match="ended early") as record:
        vaw.evaluate(vaw.demo.load_model(), images(), methods="daam", max_batch=1)
    assert [each.filename for each in record] == [__file__]
