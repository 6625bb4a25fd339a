"""The report of ``benchmarks.evaluation``: tables, what they say, and pictures."""

from __future__ import annotations

import math
import platform
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import timm
import torch

from vit_attention_widget import Evaluation
from vit_attention_widget.evaluation import LOCALIZATION, SanityCheck

from .plots import save

if TYPE_CHECKING:
    from .evaluation import Report

PAPERS = ("daam", "legrad", "gmar")
"""The papers' methods that make maps."""

ARROWS = {"higher": "↑", "lower": "↓"}


def page(
    reports: Sequence[Report],
    checks: Mapping[str, SanityCheck],
    skipped: Sequence[str],
    steps: int,
    threads: int,
) -> str:
    """All of it as Markdown."""
    lines = [
        f"Python {platform.python_version()}, torch {torch.__version__}, timm {timm.__version__}, "
        f"CPU, {threads} threads; insertion and deletion in {steps} steps. Mean over images, 95 % "
        "bootstrap interval in brackets; the best method in bold; † no better than the center "
        "prior on the average.",
        "",
    ]
    for report in reports:
        images, duration = len(report.evaluation), _time(report.minutes)
        lines += [f"**{report.title}** ({images} images, {duration})", ""]
        for columns in _groups(report.evaluation.metrics):
            lines += [*table(report.evaluation, columns), ""]
        lines += [*sentences(report.evaluation), ""]
    for name, check in checks.items():
        lines += [*what_is_left(name, check), ""]
    lines += [f"Skipped: {what}." for what in skipped]
    return "\n".join(lines).rstrip()


def table(evaluation: Evaluation, columns: Sequence[str]) -> list[str]:
    """Methods by metrics."""
    heads = [f"{metric} {ARROWS[evaluation.better[metric]]}" for metric in columns]
    lines = [f"| | {' | '.join(heads)} |", f"|---|{'---|' * len(columns)}"]
    best = {metric: _best(evaluation, metric) for metric in columns}
    for method in evaluation.methods:
        cells = []
        for metric in columns:
            low, high = evaluation.interval(method, metric)
            value = f"{evaluation.mean(method, metric):.2f}"
            value = f"**{value}**" if method == best[metric] else value
            behind = method != "center" and evaluation.against(method, "center", metric)[0] <= 0
            span = f" [{low:.2f}, {high:.2f}]" if low == low else ""
            cells.append(f"{value}{'†' if behind else ''}{span}")
        lines.append(f"| {method} | {' | '.join(cells)} |")
    return lines


def sentences(evaluation: Evaluation) -> list[str]:
    """Where a paper's method is behind or ahead of rollout and of the center, image by image."""
    lines = []
    for other in ("rollout", "center"):
        for method in (m for m in PAPERS if m in evaluation.methods):
            behind, ahead = [], []
            for metric in evaluation.metrics:
                mean, low, high = evaluation.against(method, other, metric)
                if high < 0:
                    behind.append(f"{metric} ({mean:+.3f})")
                elif low > 0:
                    ahead.append(metric)
            unclear = len(evaluation.metrics) - len(behind) - len(ahead)
            parts = [f"ahead by {', '.join(ahead)}" if ahead else "ahead by nothing"]
            parts.append(f"**behind by {', '.join(behind)}**" if behind else "behind by nothing")
            parts += [f"{unclear} undecided"] if unclear else []
            lines.append(f"- {method} against {other}: {'; '.join(parts)}.")
    return lines


def what_is_left(name: str, check: SanityCheck) -> list[str]:
    """The sanity check as a table: a few stages, and what is flagged."""
    every = len(check.stages)
    shown = sorted({0, 1, every // 2, every - 2, every - 1})
    stages = " | ".join(check.stages[at] for at in shown)
    images = check.values.shape[2]
    lines = [
        f"**{name}, randomized from the top down** (rank correlation with the original map, mean "
        f"of {images} images)",
        "",
        f"| | {stages} | |",
        f"|---|{'---|' * (len(shown) + 1)}",
    ]
    for method in check.methods:
        values = check.mean(method).tolist()
        flag = "unchanged" if method in check.unchanged else ""
        cells = " | ".join(f"{values[at]:+.2f}" for at in shown)
        lines.append(f"| {method} | {cells} | {flag} |")
    return lines


def draw(reports: Sequence[Report], checks: Mapping[str, SanityCheck], folder: Path) -> None:
    """Curves and stages as small pictures."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    curved = [r for r in reports if {"insertion", "deletion"} <= set(r.evaluation.metrics)]
    with mpl.rc_context({"font.size": 8}):
        for name, report in zip(("scenes", "photographs"), curved, strict=False):
            figure, axes = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
            for metric, ax in zip(("insertion", "deletion"), axes, strict=True):
                report.evaluation.plot(ax, metric=metric)
            save(figure, folder / f"{name}.png")
        size = 4.5 * len(checks), 3.6
        figure, axes = plt.subplots(
            1, len(checks), figsize=size, layout="constrained", squeeze=False
        )
        for (title, check), ax in zip(checks.items(), axes[0], strict=True):
            check.plot(ax).set_title(title, fontsize=9)
        save(figure, folder / "randomized.png")


def _groups(metrics: Sequence[str]) -> Iterable[list[str]]:
    """Tables that fit a page: faithfulness, then localization."""
    located = [m for m in metrics if m in LOCALIZATION]
    return [group for group in ([m for m in metrics if m not in located], located) if group]


def _best(evaluation: Evaluation, metric: str) -> str:
    sign = -1 if evaluation.better[metric] == "lower" else 1
    known = [m for m in evaluation.methods if not math.isnan(evaluation.mean(m, metric))]
    return max(known, key=lambda m: sign * evaluation.mean(m, metric))


def _time(minutes: float) -> str:
    return f"{minutes:.0f} minutes" if minutes >= 1.5 else f"{60 * minutes:.0f} s"
