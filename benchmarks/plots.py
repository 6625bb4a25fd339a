"""Small pictures for the report."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from .measure import Row


def save(figure: Figure, path: Path) -> None:
    """With a palette: a third of the size, and nothing to be seen of it."""
    import matplotlib.pyplot as plt

    path.parent.mkdir(exist_ok=True)
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=100)
    plt.close(figure)
    Image.open(buffer).convert("RGB").quantize(128).save(path, optimize=True)


def ratios(rows: list[Row], path: Path) -> None:
    """Every ratio as a bar with its quartiles; ours is 1."""
    import matplotlib.pyplot as plt

    known = [(row.question.partition(": ")[2], row.ratio) for row in rows if row.ratio]
    figure, ax = plt.subplots(figsize=(9, 0.3 * len(known) + 0.9), layout="constrained")
    for place, (_, ratio) in enumerate(known):
        ahead = "tab:blue" if ratio.median > 1 else "tab:orange"
        ax.barh(place, ratio.median - 1, left=1, height=0.6, color=ahead)
        ax.plot([ratio.low, ratio.high], [place, place], color="black", linewidth=1)
        digits = 2 if ratio.median < 100 else 0
        ax.annotate(
            f" {ratio.median:.{digits}f}", (max(ratio.high, 1), place), va="center", fontsize=8
        )
    ax.axvline(1, color="black", linewidth=0.8)
    ax.set(xscale="log", xlabel="their time as a multiple of ours")
    ax.set_xticks([0.5, 1, 2, 5, 10, 100], ["0.5", "1", "2", "5", "10", "100"])
    ax.set_yticks(range(len(known)), [label for label, _ in known], fontsize=8)
    ax.minorticks_off()
    ax.margins(x=0.15)
    ax.invert_yaxis()
    save(figure, path)
