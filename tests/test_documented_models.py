"""What ``docs/models.md`` says of other libraries' models is what happens."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[1] / "docs"
sys.path.insert(0, str(DOCS))

import library_models  # noqa: E402

QUICK = (
    "ViTForImageClassification", "CLIPForImageClassification", "SiglipForImageClassification",
    "IJepaModel", "Dinov2Backbone", "ViTForMaskedImageModeling", "ChineseCLIPModel",
    "LlavaForConditionalGeneration", "VideoMAEModel", "ViltModel", "CLIP", "CoCa",
    "VisionTransformer", "swin_t", "resnet18", "MAE", "DINOv2",
)  # fmt: skip


def wrong(case: library_models.Case) -> str:
    """What is wrong about a model, or about what the document says of it."""
    outcome = library_models.check(case)
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
def test_all_work_or_are_refused_as_the_document_says() -> None:
    assert not [fault for case in library_models.cases() if (fault := wrong(case))]
