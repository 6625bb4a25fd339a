"""Leave-one-out over ever more images: what memory it takes, and how near its rate is to its bound.

``python -m benchmarks.many_images --write`` takes the bundled model's 24 heads over scenes that are
drawn as they are asked for, each number of them in a process of its own. The bound is the forward
pass's own rate over the multiplications that leave-one-out needs for those of a forward pass.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

import vit_attention_widget as vaw

from .counted import multiplications
from .measure import Row, extra_mib, in_fresh_process, said, seconds, write_table

COUNTS = (100, 300, 1000)
BATCH = 32


class Scenes(Sequence[NDArray[np.uint8]]):
    """The first so many scenes, none of which is kept."""

    def __init__(self, count: int) -> None:
        self._count = count

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, number: int) -> NDArray[np.uint8]:  # type: ignore[override]
        if not 0 <= number < self._count:
            raise IndexError(number)
        return vaw.demo.scene(seed=number).image


def measured(count: int, threads: int) -> dict[str, float]:
    """Of leave-one-out over so many scenes: MiB above the model at rest, and rates a second.

    ``bound`` is the rate that multiplications allow; ``drawn`` how many scenes are drawn.
    """
    torch.set_num_threads(threads)
    model = vaw.demo.load_model()
    inputs = vaw.describe(model).prepare(list(Scenes(BATCH)))

    def forward() -> None:
        with torch.no_grad():
            model(inputs)

    def leave_one_out(images: Sequence[object]) -> None:
        importance = vaw.head_importance(model, images, metric=("probability", "jsd"))
        assert len(importance) == len(images)

    leave_one_out(Scenes(BATCH))  # warm up
    extra = extra_mib(lambda: leave_one_out(Scenes(count)))
    taken = seconds(lambda: leave_one_out(Scenes(count)))
    passes = multiplications(lambda: leave_one_out(Scenes(BATCH))) / multiplications(forward)
    of_pass = min(seconds(forward) for _ in range(9)) / BATCH
    drawing = seconds(lambda: list(Scenes(BATCH))) / BATCH
    return {
        "extra": extra,
        "rate": count / taken,
        "passes": passes,
        "bound": 1 / (passes * of_pass),
        "drawn": 1 / drawing,
    }


def table(counts: Sequence[int], threads: int) -> list[Row]:
    """A row a number of images."""
    rows = []
    for count in counts:
        figures = in_fresh_process("benchmarks.many_images", "--count", str(count), "--threads",
                                   str(threads))  # fmt: skip
        rows.append(
            said(
                Row(
                    f"{count:,} scenes x 24 heads, two metrics",
                    f"{figures['extra']:,.0f} MiB extra; {figures['rate']:.1f} images/s, "
                    f"{figures['rate'] / figures['bound']:.2f} of the bound "
                    f"({figures['passes']:.1f} forward passes an image, "
                    f"{figures['bound']:.1f} images/s; {figures['drawn']:.0f} are drawn a second)",
                    "constant memory",
                )
            )
        )
    return rows


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    if options.count is not None:
        print(json.dumps(measured(options.count, options.threads)))
        return
    write_table(table(COUNTS, options.threads), "many-images", options, options.write)


if __name__ == "__main__":
    main()
