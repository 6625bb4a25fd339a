"""The widgets in a real Chromium: bytes and time to the first paint, clicks, scrubbing.

``python -m benchmarks.browser`` prints a table; ``--write`` puts it into ``benchmarks/README.md``.
Models have random weights. What needs no kernel is measured in a page without one, the rest in
JupyterLab (``benchmarks/pages.py``), always inside the page (``benchmarks/pages.js``).
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import threading
from collections.abc import Iterator
from importlib.metadata import version
from typing import Any, ClassVar
from unittest import mock

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # idle threads of a lane must not spin

import comm
import torch
from comm.base_comm import BaseComm
from playwright.sync_api import Browser

import vit_attention_widget as vaw
from tests.browser.chromium import at_hand
from vit_attention_widget.export.built_files import built_file
from vit_attention_widget.session.attention import MOST_STREAMED_TOKENS

from .measure import Row, said, side_by_side, write_table
from .pages import (
    Shape,
    options_of_pages,
    photograph,
    rows_of,
    with_kernel,
    without_kernel,
)

SHAPES = (
    Shape("vit_tiny_patch16_224"),
    Shape("vit_base_patch16_224"),
    Shape("vit_small_patch14_dinov2", {"img_size": 518, "num_classes": 1000}),
)


class Wire(BaseComm):
    """Stands for the way to the browser, and counts the state that goes there."""

    sent: ClassVar[int] = 0
    to_first_paint: ClassVar[int] = 0

    def publish_msg(
        self, _: str, data: Any = None, *__: Any, buffers: Any = (), **___: Any
    ) -> None:
        """Count a message; the first maps complete the first paint."""
        data, sizes = data or {}, [len(buffer) for buffer in buffers or ()]
        state = {k: v for k, v in data.get("state", {}).items() if k not in ("_esm", "_css")}
        Wire.sent += len(json.dumps({**data, "state": state})) + sum(sizes)
        paths = zip(data.get("buffer_paths", ()), sizes, strict=True)
        if not Wire.to_first_paint and any(path == ["_maps"] and size for path, size in paths):
            Wire.to_first_paint = Wire.sent


def amounts(shape: Shape) -> Iterator[Row]:
    """What goes to the browser until the first paint, and by and by after it."""
    Wire.sent = Wire.to_first_paint = 0
    with mock.patch.object(comm, "create_comm", Wire):
        explorer = vaw.Explorer(shape.model(), photograph())
        explorer.wait()
    info, session = explorer._model_info, explorer.session
    yield Row("state until the first complete paint", megabytes(Wire.to_first_paint), "<= 1 MB")
    yield Row("all state, when nothing is left to compute", megabytes(Wire.sent))
    if info["num_tokens"] <= MOST_STREAMED_TOKENS:
        layers = sum(len(session.attention.layer(i)) for i in range(info["num_layers"]))
        yield Row("attention matrices, streamed after the first paint", megabytes(layers))
    explorer.close()


def megabytes(count: int) -> str:
    return f"{count / 1e6:.2f} MB"


def kernel(shape: Shape, rounds: int) -> Iterator[Row]:
    """From a model and an image to the first maps."""
    model, picture = shape.model(), photograph()
    image = torch.randn(1, 3, *model.patch_embed.img_size)
    opened: list[vaw.Explorer] = []

    def forward() -> None:
        with torch.no_grad():
            model(image)

    def first_maps() -> None:
        explorer, there = vaw.Explorer(model, picture), threading.Event()
        opened.append(explorer)
        explorer.observe(lambda _: there.set(), "_maps")
        if not explorer._maps:
            there.wait()

    def close() -> None:  # a run of its own: what is still being computed must not slow the next
        explorer = opened.pop()
        explorer.session.cancel()
        explorer.wait()
        explorer.close()

    runs = {"forward": forward, "first maps": first_maps, "close": close}
    times = side_by_side(runs, "forward", max(2, rounds))["first maps"]
    yield Row("kernel, from Explorer(model, image) to the first maps", f"{times} x forward")


def bundles() -> Iterator[Row]:
    """What a widget's code and style take, once a widget."""
    for name in ("explorer.js", "daam_scrubber.js", "style.css"):
        whole = built_file(name).read_bytes()
        measured = f"{len(whole) / 1000:.0f} kB, gzipped {len(gzip.compress(whole)) / 1000:.0f} kB"
        yield Row(f"{name}, beside the state", measured)


def table(shape: Shape, browser: Browser, options: argparse.Namespace) -> Iterator[Row]:
    """Every scenario of one model."""
    yield from amounts(shape)
    yield from kernel(shape, options.rounds)
    yield from without_kernel(shape, browser, options)
    yield from with_kernel(shape, browser, options)


def main() -> None:
    """Run what the command line asks for."""
    options = options_of_pages(__doc__, rounds=7, clicks=30, scrub_ms=2000)
    rows = [said(row) for row in bundles()]
    with at_hand() as browser:
        note = f"Chromium {browser.version} without a GPU, JupyterLab {version('jupyterlab')}."
        for shape in SHAPES:
            if options.only in shape.name:
                rows += rows_of(shape.label, table(shape, browser, options))
    write_table(rows, "browser", options, keep=options.write, note=note)


if __name__ == "__main__":
    main()
