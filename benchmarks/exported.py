"""Exported pages: how large they are, and how fast they open, with the network off.

``python -m benchmarks.exported`` prints a table; ``--write`` puts it into ``benchmarks/README.md``.
The weights are random, but for the ViT-Tiny of ``../shared/real``, where that is.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
from collections.abc import Iterator
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import timm
from playwright.sync_api import Browser
from safetensors.torch import load_file

import vit_attention_widget as vaw
from tests.browser.chromium import at_hand

from .measure import Row, write_table
from .pages import (
    PATCHES,
    SCRIPT,
    SETTLED_MS,
    WINDOW,
    Shape,
    busy,
    options_of_pages,
    photograph,
    rows_of,
    seen_first,
    spread,
)

REAL = Path(__file__).parents[2] / "shared" / "real"
WEIGHTS = REAL / "weights" / "vit_tiny_patch16_224.in1k.fp16.safetensors"
TINY, BASE = Shape("vit_tiny_patch16_224"), Shape("vit_base_patch16_224")


def explorers() -> Iterator[tuple[str, vaw.Explorer]]:
    """Explorers to be exported, and what they are of."""
    if WEIGHTS.exists():
        model = timm.create_model(TINY.name).eval()
        weights = load_file(WEIGHTS)
        model.load_state_dict({name: tensor.float() for name, tensor in weights.items()})
        yield f"{TINY.label}, real weights", vaw.Explorer(model, REAL / "photos" / "both.png")
    else:
        yield TINY.label, vaw.Explorer(TINY.model(), photograph())
    yield BASE.label, vaw.Explorer(BASE.model(), photograph())


def table(explorer: vaw.Explorer, browser: Browser, options: argparse.Namespace) -> Iterator[Row]:
    """Sizes and times of one Explorer."""
    explorer.wait()
    layers = explorer._model_info["num_layers"]
    with tempfile.TemporaryDirectory() as folder:
        small = explorer.to_html(Path(folder, "small.html"), attention=False)
        whole = explorer.to_html(Path(folder, "whole.html"))
        yield Row("with the attention of all heads", f"{whole.megabytes:.2f} MB", "<= 8 MB")
        yield Row("without attention matrices", f"{small.megabytes:.2f} MB", "<= 1 MB")
        opened = [first_paint(browser, whole.path, layers) for _ in range(options.rounds)]
        times, requests = zip(*opened, strict=True)
        yield Row("requests, the page's own file aside", str(sum(requests)), "0")
        yield Row("from opening the file to the first paint", spread(times), "<= 1000 ms")
        yield from clicks(browser, whole.path, explorer, options)
    explorer.close()


def first_paint(browser: Browser, path: Path, layers: int) -> tuple[float, int]:
    """Milliseconds from opening a file to its complete first paint, and what it asked for."""
    context = browser.new_context(viewport=WINDOW, offline=True)
    tab = context.new_page()
    asked: list[str] = []
    tab.on("request", lambda request: asked.append(request.url))
    watched = f"{SCRIPT}\nglobalThis.first = measure.watch({seen_first(layers)});"
    tab.add_init_script(watched)
    tab.goto(path.as_uri())
    tab.wait_for_timeout(SETTLED_MS)
    paint = float(tab.evaluate("(first.on = false, first.changes.at(-1))"))
    context.close()
    return paint, len([url for url in asked if not url.startswith(("blob:", "file:"))])


def clicks(
    browser: Browser, path: Path, explorer: vaw.Explorer, options: argparse.Namespace
) -> Iterator[Row]:
    """What clicks take, beside clicks that change nothing but a few pixels, in turn."""
    info, count = explorer._model_info, options.clicks
    scripts = {
        "a patch": f"measure.patches('{PATCHES}', {count}, {info['rows']}, {info['cols']}, 1)",
        "nothing": f"measure.nothing('{PATCHES}', {count})",
    }
    context = browser.new_context(viewport=WINDOW, offline=True)
    tab = context.new_page()
    tab.add_init_script(SCRIPT)
    tab.goto(path.as_uri())
    tab.wait_for_timeout(2 * SETTLED_MS)
    painted: dict[str, list[float]] = {on: [] for on in scripts}
    work: dict[str, list[float]] = {on: [] for on in scripts}
    for on, script in [*scripts.items()] * (options.rounds + 1):
        with busy(tab, work[on], count):
            times = [each for _, each in tab.evaluate(script)]
        painted[on].append(statistics.median(times))
    context.close()
    for rounds in (*painted.values(), *work.values()):
        del rounds[0]  # the first round warms up
    own = [of - without for of, without in zip(work["a patch"], work["nothing"], strict=True)]
    yield Row("click on a patch, time of the main thread", spread(own))
    yield Row("click on a patch until it is painted", spread(painted["a patch"]), "<= 16 ms")
    yield Row("the same, of a click that changes a few pixels", spread(painted["nothing"]))


def main() -> None:
    """Run what the command line asks for."""
    options = options_of_pages(__doc__, rounds=5, clicks=20)
    rows: list[Row] = []
    with at_hand() as browser:
        note = f"Chromium {browser.version} without a GPU, the network off."
        for label, explorer in explorers():
            if options.only in label:
                rows += rows_of(label, table(explorer, browser, options))
    write_table(rows, "exported", options, keep=options.write, note=note)


if __name__ == "__main__":
    main()
