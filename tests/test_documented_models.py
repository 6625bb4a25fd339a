"""What ``docs/models.md`` says of other libraries' models is what happens."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

import vit_attention_widget as vaw
from vit_attention_widget.errors import UnsupportedModelError
from vit_attention_widget.models import describe

DOCS = Path(__file__).parents[1] / "docs"
sys.path.insert(0, str(DOCS))

import library_checks  # noqa: E402
import library_models  # noqa: E402
from test_pruning_libraries import decide, masked  # noqa: E402

QUICK = (
    "ViTForImageClassification", "CLIPForImageClassification", "SiglipForImageClassification",
    "IJepaModel", "Dinov2Backbone", "ViTForMaskedImageModeling", "ChineseCLIPModel",
    "LlavaForConditionalGeneration", "VideoMAEModel", "ViltModel", "CLIP", "CoCa",
    "VisionTransformer", "swin_t", "resnet18", "MAE", "DINOv2",
)  # fmt: skip


NOT_CUT = {"BEiT", "Lightning"}
"""The published BEiT's code: its joined projections have biases of positions beside them."""


@pytest.fixture(scope="module")
def cases() -> list[library_models.Case]:
    return list(library_models.cases())


def wrong(case: library_models.Case) -> str:
    """What is wrong about a model, or about what the document says of it."""
    outcome = library_checks.check(case)
    if outcome.wrong:  # a raw exception, or a silent difference
        return f"{case.name} {outcome.wrong}"
    rows = (DOCS / "models.md").read_text().splitlines()
    written = [row for row in rows if row.startswith(f"| `{case.name}` |")]
    if not written:  # by another version of the library
        return ""
    works = written[0].endswith(" works |")
    if works != outcome.works or (works and written[0] != outcome.row):
        return f"{case.name} is {outcome.row!r}, but {written[0]!r} is written"
    return ""


@pytest.mark.parametrize("name", QUICK)
def test_it_works_or_is_refused_as_the_document_says(name: str) -> None:
    for case in library_models.cases({name}):
        assert not wrong(case)


@pytest.mark.slow
def test_the_others_work_or_are_refused_as_the_document_says(
    cases: list[library_models.Case],
) -> None:
    others = (case for case in cases if case.name not in QUICK)
    assert not [fault for case in others if (fault := wrong(case))]


@pytest.mark.slow
def test_they_are_cut_or_that_is_refused(cases: list[library_models.Case]) -> None:
    done, refused = list[str](), set[str]()
    for case in cases:
        try:
            model = case.create().double().eval()
            vit = describe(model)
        except Exception:  # the document says why
            continue
        heads = {0: [1], vit.num_layers - 1: [0]}
        inputs = torch.randn(2, vit.channels, *case.size, dtype=torch.float64)
        if case.name in NOT_CUT:
            with pytest.raises(UnsupportedModelError, match="masked_heads"):
                vaw.prune_heads(model, heads)
            refused.add(case.name)
            continue
        small = vaw.prune_heads(model, heads)
        torch.testing.assert_close(
            decide(small, inputs), masked(model, heads, inputs), rtol=1e-9, atol=1e-9
        )
        done.append(case.name)
    assert len(done) > 60
    assert refused == NOT_CUT
