"""Time and memory with ever more tokens, ours against matrices that are kept.

``python -m benchmarks.growth --write`` puts a table and a picture into ``benchmarks/README.md``.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from .measure import Row, in_fresh_process, on_device, write_table
from .plots import save

PATCHES = (196, 576, 1024, 1369, 4096)
LABELS = {"forward": "one forward pass", "daam": "DAAM, ours", "retained": "DAAM, matrices kept"}

Figures = dict[str, list[dict[str, float]]]


def measured(options: argparse.Namespace) -> Figures:
    """Seconds and extra MiB of each question at each number of patches."""
    by_question: Figures = {question: [] for question in LABELS}
    where = ["--device", options.device, "--dtype", options.dtype]
    where += ["--threads", str(options.threads)]
    for patches in PATCHES:
        for question, figures in by_question.items():
            figures.append(in_fresh_process("benchmarks.memory", question, str(patches), *where))
            print(question, patches, figures[-1], file=sys.stderr, flush=True)
    return by_question


def rows(figures_of: Figures) -> list[Row]:
    """What the figures say, a line for each number of tokens and one for the growth."""
    lines = []
    for at, patches in enumerate(PATCHES):
        forward, ours, theirs = (figures_of[question][at] for question in LABELS)
        lines.append(
            Row(
                f"ViT-S/16, {patches + 1:,} tokens: DAAM, against matrices that are kept",
                f"{theirs['seconds'] / ours['seconds']:.2f} x our time "
                f"({ours['seconds'] / forward['seconds']:.1f} x forward); {theirs['extra']:,.0f} "
                f"MiB against {ours['extra']:,.0f} (forward {forward['extra']:,.0f})",
                "> 1",
            )
        )
    tokens = (PATCHES[-1] + 1) / (PATCHES[1] + 1)
    grown = [figures_of[q][-1]["extra"] / figures_of[q][1]["extra"] for q in ("daam", "retained")]
    lines.append(
        Row(
            f"memory, from {PATCHES[1] + 1} to {PATCHES[-1] + 1:,} tokens ({tokens:.1f} x)",
            f"ours {grown[0]:.1f} x, matrices that are kept {grown[1]:.1f} x",
            "linear",
        )
    )
    return lines


def draw(figures_of: Figures, path: Path) -> None:
    """Time and memory over tokens, on logarithmic scales."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
    tokens = [patches + 1 for patches in PATCHES]
    for ax, key, unit in zip(axes, ("seconds", "extra"), ("seconds", "MiB"), strict=True):
        for question, label in LABELS.items():
            values = [max(figures[key], 1e-3) for figures in figures_of[question]]
            ax.plot(tokens, values, marker="o", markersize=3, label=label)
        ax.set(xscale="log", yscale="log", xlabel="tokens", ylabel=unit)
        ax.set_xticks(tokens, [f"{count:,}" if count != 1025 else "" for count in tokens])
        ax.minorticks_off()
        ax.legend(frameon=False)
    axes[0].set_title("time")
    axes[1].set_title("memory above the model at rest")
    save(figure, path)


def growth(options: argparse.Namespace) -> None:
    """Measure, print, and keep if asked."""
    figures_of = measured(options)
    mark = "growth" if options.device == "cpu" else f"growth-{options.device}"
    write_table(rows(figures_of), mark, options, keep=options.write)
    if options.write:
        draw(figures_of, Path(__file__).with_name("plots") / f"{mark}.png")


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    on_device(parser)
    growth(parser.parse_args())


if __name__ == "__main__":
    main()
