"""Old names of evaluation and comparison work for one release."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import vit_attention_widget as vaw
from vit_attention_widget import evaluation
from vit_attention_widget.comparison.result import Comparison, MapOf
from vit_attention_widget.errors import ImageError
from vit_attention_widget.evaluation import Evaluation, SanityCheck
from vit_attention_widget.evaluation.result import Part


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
    found = table()
    with warned(r"Evaluation\.stopped is now Evaluation\.error"):
        assert found.stopped is found.error
    with warned("method='centre' is now method='center'"):
        assert found.mean("centre", "energy") == found.mean("center", "energy") == 1


def test_names_of_a_comparison() -> None:
    maps = np.zeros((1, 2, 2), np.float32)
    items = [MapOf("daam", "cat", 0)]
    with warned(r"Comparison\.of\(left_out=\.\.\.\) is now Comparison\.of\(skipped=\.\.\.\)"):
        found = Comparison.of(maps, items, left_out={"gmar": "why"})  # type: ignore[call-arg]
    with warned(r"Comparison\.left_out is now Comparison\.skipped"):
        assert found.left_out is found.skipped


def test_the_baseline_by_its_old_name() -> None:
    scene = vaw.demo.scene(seed=1)
    with warned("methods='centre' is now methods='center'"):
        found = vaw.evaluate(
            vaw.demo.load_model(), scene.image, methods="centre", metrics="increase"
        )
    assert found.methods == ("center", "random")


def test_the_baseline_in_a_sanity_check() -> None:
    check = SanityCheck(torch.ones(2, 1, 3), ("readout", "embedding"), ("center",), 0.5)
    with warned("method='centre' is now method='center'"):
        assert torch.equal(check.mean("centre"), check.mean("center"))
