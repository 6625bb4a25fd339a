"""A small version of ``python -m benchmarks.evaluation``, and what is known of the real sets."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

import vit_attention_widget as vaw
from benchmarks import evaluation as benchmark
from benchmarks import measure
from benchmarks.evaluation_report import PAPERS, sentences, table

SMALL = [
    "--scenes=4", "--fill-scenes=2", "--photographs=1", "--sanity-images=1", "--steps=2",
    "--threads=2",
]  # fmt: skip
PUBLISHED = {  # by ../shared/real/README.md: maximum on the animal, IoU of (map > its mean)
    "rollout": (0.77, 0.44),
    "gmar": (0.85, 0.44),
    "daam": (0.73, 0.43),
    "legrad": (0.77, 0.40),
}
REAL = pytest.mark.skipif(
    not (benchmark.REAL / "manifest.csv").is_file(),
    reason="needs the real weights and photographs of ../shared/real",
)


@pytest.mark.slow
def test_a_small_report_without_photographs(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(benchmark, "REAL", tmp_path)
    monkeypatch.setattr(benchmark, "HERE", tmp_path)
    kept: dict[str, str] = {}
    monkeypatch.setattr(benchmark, "write_between", kept.__setitem__)
    text = benchmark.main([*SMALL, "--write"])
    assert kept == {"evaluation": text}
    assert "Skipped: photographs of pets and of ImageNet" in text
    for method in (*vaw.explainers.METHODS, "center", "random"):
        assert text.count(f"| {method} |") == 4  # two tables, fills, sanity check
    assert "insertion (noise) ↑" in text
    assert "deletion ↓" in text
    assert [path.name for path in sorted((tmp_path / "plots").iterdir())] == [
        "randomized.png", "scenes.png",
    ]  # fmt: skip
    assert sum(path.stat().st_size for path in (tmp_path / "plots").iterdir()) < 100_000


@pytest.mark.slow
@REAL
def test_a_small_report_with_photographs() -> None:
    reports = benchmark.of_photographs(2, 1)
    assert [len(report.evaluation) for report in reports] == [1, 1]
    assert not any(report.evaluation.failed for report in reports)


@pytest.mark.slow
@REAL
def test_the_published_figures_of_the_pets() -> None:
    """As a slow, literal implementation found them: the border counts as background there."""
    pets = [row for row in benchmark.manifest() if row["mask"]]
    evaluation = vaw.evaluate(
        benchmark.vit_tiny(),
        [benchmark.squeezed(benchmark.REAL / row["file"]) for row in pets],
        masks=[benchmark.squeezed_mask(benchmark.REAL / row["mask"]) == 255 for row in pets],
        methods=list(PUBLISHED),
        metrics=["pointing", "iou_mean"],
    )
    assert len(evaluation) == 26
    for method, (hits, overlap) in PUBLISHED.items():
        assert evaluation.mean(method, "pointing") == pytest.approx(hits, abs=1 / 26 + 0.005)
        assert evaluation.mean(method, "iou_mean") == pytest.approx(overlap, abs=0.01)
    for metric in ("pointing", "iou_mean"):  # the center beats them all on this set
        best = max(evaluation.mean(method, metric) for method in PUBLISHED)
        assert evaluation.mean("center", metric) >= best - 0.005


def test_the_table_marks_what_is_best_and_what_the_center_beats() -> None:
    scenes = [vaw.demo.scene(seed=benchmark.FIRST_SEED + i) for i in range(6)]
    evaluation = vaw.evaluate(
        vaw.demo.load_model(), [s.image for s in scenes], masks=[s.mask for s in scenes],
        methods=["daam", "rollout"], metrics="average_precision",
    )  # fmt: skip
    lines = {
        line.split(" | ")[0].strip("| "): line for line in table(evaluation, evaluation.metrics)
    }
    assert sum("**" in line for line in lines.values()) == 1
    assert "†" in lines["random"]
    assert "†" not in lines["center"]
    said = sentences(evaluation)
    assert [line.split()[1] for line in said] == ["daam", "daam"]
    assert set(PAPERS) <= set(vaw.explainers.METHODS)


def test_what_is_written_goes_between_its_marks(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    page = tmp_path / "README.md"
    page.write_text("before\n<!-- some -->\nold\n<!-- /some -->\nafter\n")
    monkeypatch.setattr(measure, "__file__", str(tmp_path / "measure.py"))
    measure.write_between("some", "new")
    assert page.read_text() == "before\n<!-- some -->\nnew\n<!-- /some -->\nafter\n"
    with pytest.raises(SystemExit, match="no mark <!-- other -->"):
        measure.write_between("other", "new")
