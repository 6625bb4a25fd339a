"""Large models in the browser: bytes and time to the first paint, clicks, zooming, memory.

``python -m benchmarks.large`` prints a table; ``--write`` puts it into ``benchmarks/README.md``.
The models have as many layers, heads and tokens as a ViT-L, a ViT-g, and a ViT-S of 4,097 tokens;
the first two are narrower, and weights are random: the browser is given as much.
"""

from __future__ import annotations

import argparse
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from unittest import mock

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # idle threads of a lane must not spin

import comm
from playwright.sync_api import Browser, Page

import vit_attention_widget as vaw
from tests.browser.chromium import at_hand

from .browser import Wire, megabytes
from .measure import Row, write_table
from .pages import (
    PATCHES,
    ROOT,
    Shape,
    exported,
    first_paint,
    loaded,
    options_of_pages,
    photograph,
    rows_of,
    scrubbing,
    with_most,
)


@dataclass(frozen=True)
class Large(Shape):
    """A model that is as large to a browser as the one that it is named after."""

    called: str = ""

    @property
    def label(self) -> str:
        """What it stands for."""
        return self.called


SHAPES = (
    Large("vit_large_patch16_224", {"embed_dim": 256}, "ViT-L, 24 x 16 heads, 197 tokens"),
    Large(
        "vit_giant_patch14_dinov2",
        {"embed_dim": 192, "img_size": 518, "num_classes": 1000},
        "ViT-g, 40 x 24 heads, 1,370 tokens",
    ),
    Large("vit_small_patch8_224", {"img_size": 512}, "ViT-S, 12 x 6 heads, 4,097 tokens"),
)
LARGER = f"{ROOT} [data-testid=heads-larger]"
HEADS = f"{ROOT} [data-testid=heads-canvas]"


def opened(shape: Shape) -> tuple[vaw.Session, int]:
    """A session whose first maps are there and nothing else, and what was sent until then."""
    Wire.sent = Wire.to_first_paint = 0
    with mock.patch.object(comm, "create_comm", Wire):
        explorer, there = vaw.Explorer(shape.model(), photograph()), threading.Event()
        explorer.observe(lambda _: there.set(), "_maps")
        if not explorer._maps:
            there.wait()
        explorer.session.cancel()
        explorer.wait()
    return explorer.session, Wire.to_first_paint


def table(shape: Shape, browser: Browser, options: argparse.Namespace) -> Iterator[Row]:
    """Every scenario of one model."""
    session, sent = opened(shape)
    yield Row("state until the first complete paint", megabytes(sent), "<= 1 MB")
    info = session._model_info
    with exported(session) as pages:
        yield first_paint(browser, pages["explorer"], info, options.rounds, "<= 2000 ms")
        with loaded(browser, pages["explorer"], info) as tab:
            yield from clicks(tab, info, options.clicks)
            yield from zooming(tab)
            yield Row("heap, after all that", heap(tab))
        with loaded(browser, pages["daam_scrubber"], info) as tab:
            yield scrubbing(tab, options)


def clicks(tab: Page, info: Any, count: int) -> Iterator[Row]:
    """On heads and layers, all that they show being at hand."""
    asked = {
        "a head": f"measure.heads('{ROOT}', {count}, {info['num_layers']}, '{PATCHES}')",
        "a layer": f"measure.layers('{ROOT}', {count}, {info['num_layers']}, '{PATCHES}')",
    }
    for on, script in asked.items():
        painted = [shown for _, shown in tab.evaluate(script)]
        yield Row(f"click on {on}: the frame is painted", with_most(painted), "<= 16 ms")


def zooming(tab: Page) -> Iterator[Row]:
    """Steps into the grid, where its pictures are small."""
    if not tab.locator("[data-testid=heads-larger]").count():
        return
    painted = [shown for _, shown in tab.evaluate(f"measure.presses('{LARGER}', 4, '{HEADS}')")]
    yield Row("a step of zoom: the frame is painted", with_most(painted))
    tab.click("[data-testid=heads-all]")


def heap(tab: Page) -> str:
    """What JavaScript holds once what it need not hold is let go of."""
    session = tab.context.new_cdp_session(tab)
    session.send("HeapProfiler.collectGarbage")
    time.sleep(0.5)
    return megabytes(session.send("Runtime.getHeapUsage")["usedSize"])


def main() -> None:
    """Run what the command line asks for."""
    options = options_of_pages(__doc__, rounds=5, clicks=30, scrub_ms=2000)
    rows: list[Row] = []
    with at_hand() as browser:
        note = f"Chromium {browser.version} without a GPU."
        for shape in SHAPES:
            if options.only in shape.name:
                rows += rows_of(shape.label, table(shape, browser, options))
    write_table(rows, "large", options, keep=options.write, note=note)


if __name__ == "__main__":
    main()
