"""What learning attention patterns takes, and whether its codes are worth their name.

``python -m benchmarks.patterns`` prints a table; ``--write`` puts it into ``benchmarks/README.md``.
"""

from __future__ import annotations

import argparse
import time

import torch

import vit_attention_widget as vaw

from .measure import Row, write_table


def learning(images: int) -> list[Row]:
    """A fit on scenes of the bundled model: how long it takes, and how good it is."""
    model = vaw.demo.load_model()
    scenes = [vaw.demo.scene(seed=1_000_000 + seed).image for seed in range(images)]
    started = time.perf_counter()
    patterns = vaw.AttentionPatterns().fit(model, scenes)
    took = time.perf_counter() - started
    name = f"bundled model, {images} images"
    rows = [Row(f"{name}: learning patterns, three seeds", f"{took:.0f} s", "<= 180 s")]
    for family, learned in patterns:
        share = learned.reconstruction_error / learned.pca_error
        rows += [
            Row(f"{name}, {family}: error of the codes", f"{share:.2f} x PCA's", "< 1"),
            Row(f"{name}, {family}: clusters over seeds", f"agree {learned.stability:.2f}"),
        ]
    trace = vaw.trace(model, scenes[0], gradients=False)
    started = time.perf_counter()
    for _ in range(10):
        patterns.place(trace)
    placing = (time.perf_counter() - started) / 10
    started = time.perf_counter()
    for _ in range(10):
        vaw.trace(model, scenes[0], gradients=False)
    looking = (time.perf_counter() - started) / 10
    rows.append(Row(f"{name}: placing an image's heads", f"{placing / looking:.1f} x forward"))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--write", action="store_true", help="write benchmarks/README.md")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    write_table(learning(options.images), "patterns", options, keep=options.write)


if __name__ == "__main__":
    main()
