"""The live page: how soon it shows, decides, and decides again without a head.

``python -m benchmarks.live`` prints a table; ``--write`` puts it into ``benchmarks/README.md``.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

from playwright.sync_api import Browser

import vit_attention_widget as vaw
from live.build import build
from tests.browser.chromium import at_hand
from tests.browser.live_page import PAGE, opened

from .measure import Row, said, write_table
from .pages import options_of_pages, spread, with_most


def table(browser: Browser, host: Path) -> Iterator[Row]:
    """Sizes and times of the page, built in a folder."""
    build(host / PAGE)
    size = sum(file.stat().st_size for file in (host / PAGE).iterdir()) / 1e6
    yield Row("all files of the page, ONNX Runtime among them", f"{size:.1f} MB")
    vit = vaw.describe(vaw.demo.load_model())
    heads = [(layer, head) for layer, count in enumerate(vit.num_heads) for head in range(count)]
    with opened(host, browser) as live:
        times = live.prune(*heads)
    decided, alone = zip(*times, strict=True)
    yield Row(
        "from pruning a head to the decision without it", with_most(list(decided)), "<= 300 ms"
    )
    ratios = [total / run for total, run in times]
    yield Row("the same, against the model's own run in the page", spread(ratios, "x"))
    yield Row("the model's own run", spread(alone))


def main() -> None:
    """Run what the command line asks for."""
    options = options_of_pages(__doc__, of_models=False)
    with at_hand() as browser, tempfile.TemporaryDirectory() as host:
        note = f"Chromium {browser.version} without a GPU, WebAssembly in one thread."
        rows = [said(row) for row in table(browser, Path(host))]
    write_table(rows, "live", options, keep=options.write, note=note)


if __name__ == "__main__":
    main()
