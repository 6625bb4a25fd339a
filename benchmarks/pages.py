"""Measures in pages: a widget without a kernel, and one in JupyterLab."""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import nbformat
import timm
import torch
from PIL import Image
from playwright.sync_api import Browser, Page
from sklearn.datasets import load_sample_image
from torch import nn

import vit_attention_widget as vaw
from tests.browser.jupyterlab import Lab, jupyterlab
from vit_attention_widget.session.attention import MOST_STREAMED_TOKENS

from .measure import Row, said

SCRIPT = Path(__file__).with_suffix(".js").read_text()
PHOTOGRAPH = "china.jpg"  # comes with scikit-learn
ROOT = ".vaw-root"
PATCHES = f"{ROOT} [data-testid=patch-canvas]"
WINDOW = {"width": 1280, "height": 1000}
SETTLED_MS = 1000
WIDGETS = {"explorer": vaw.Explorer, "daam_scrubber": vaw.DAAMScrubber}

Info = Mapping[str, Any]


@dataclass(frozen=True)
class Shape:
    """A model to be made."""

    name: str
    options: dict[str, object] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """The name, with the image's size where it is not the usual one."""
        size = self.options.get("img_size")
        return f"{self.name}, {size} pixels" if size else self.name

    def model(self) -> nn.Module:
        """The model with random weights."""
        torch.manual_seed(0)
        return timm.create_model(self.name, **self.options).eval()


NUMBERS = {
    "rounds": "fresh loads, and rounds of what is done in a page",
    "clicks": "in a round",
    "scrub_ms": "how long a slider is moved, in milliseconds",
}


def options_of_pages(
    about: str | None, *, of_models: bool = True, **numbers: int
) -> argparse.Namespace:
    """What the command line says of a benchmark in pages; ``numbers`` are some of NUMBERS."""
    parser = argparse.ArgumentParser(description=about)
    for name, default in numbers.items():
        flag = f"--{name.replace('_', '-')}"
        parser.add_argument(flag, type=int, default=default, help=NUMBERS[name])
    if of_models:
        parser.add_argument("--only", default="", help="a part of a model's name")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--write", action="store_true", help="write benchmarks/README.md")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    return options


def rows_of(label: str, rows: Iterable[Row]) -> Iterator[Row]:
    """The rows of one model, which say so, each told as it comes."""
    for row in rows:
        yield said(replace(row, question=f"{label}: {row.question}"))


def photograph() -> Image.Image:
    return Image.fromarray(load_sample_image(PHOTOGRAPH))


def spread(values: Sequence[float], unit: str = "ms") -> str:
    """Median and quartiles."""
    values = [*values, *values] if len(values) == 1 else values
    low, median, high = statistics.quantiles(values, n=4)
    digits = 1 if median < 100 else 0
    return f"{median:.{digits}f} ({low:.{digits}f} to {high:.{digits}f}) {unit}"


def with_most(values: Sequence[float]) -> str:
    """Median, quartiles and the largest."""
    return f"{spread(values)}, at most {max(values):.0f}"


@contextmanager
def busy(tab: Page, work: list[float], count: int) -> Iterator[None]:
    """Milliseconds of the page's main thread, its painting with them, for each of some clicks.

    It is the thread's own time, so that a busy machine does not count.
    """
    devtools = tab.context.new_cdp_session(tab)
    devtools.send("Performance.enable", {"timeDomain": "threadTicks"})

    def so_far() -> float:
        metrics = devtools.send("Performance.getMetrics")["metrics"]
        return 1000 * next(m["value"] for m in metrics if m["name"] == "TaskDuration")

    before = so_far()
    yield
    work.append((so_far() - before) / count)
    devtools.detach()


def seen_first(layers: int) -> list[str]:
    """Canvases of a complete first paint: the attention, and the map of the last layer."""
    return [PATCHES, f"{ROOT} [data-testid=frame-{layers - 1}] canvas"]


# Without a kernel -------------------------------------------------------------------------------


@contextmanager
def exported(session: vaw.Session) -> Iterator[dict[str, Path]]:
    """Each widget of a session as a page of its own, by its stem; the session is closed."""
    with tempfile.TemporaryDirectory() as folder:
        pages = {stem: Path(folder, f"{stem}.html") for stem in WIDGETS}
        for stem, path in pages.items():
            WIDGETS[stem](session=session).to_html(path, max_megabytes=50)
        session.close()
        yield pages


def without_kernel(shape: Shape, browser: Browser, options: argparse.Namespace) -> Iterator[Row]:
    """First paint, cached clicks and scrubbing."""
    session = vaw.Session(shape.model(), photograph(), metric="taylor")
    session.wait()
    info = session._model_info
    with exported(session) as pages:
        yield first_paint(browser, pages["explorer"], info, options.rounds)
        with loaded(browser, pages["explorer"], info) as tab:
            yield from _cached_clicks(tab, info, options.clicks)
        with loaded(browser, pages["daam_scrubber"], info) as tab:
            yield scrubbing(tab, options)


@contextmanager
def loaded(browser: Browser, path: Path, info: Info, watched: Sequence[str] = ()) -> Iterator[Page]:
    """A fresh load that has settled; ``globalThis.first`` has when watched canvases changed."""
    context = browser.new_context(viewport=WINDOW)
    tab = context.new_page()
    tab.add_init_script(f"{SCRIPT}\nglobalThis.first = measure.watch({json.dumps(watched)});")
    tab.goto(path.as_uri())
    tab.wait_for_function(
        "(layers) => performance.getEntriesByName('answered').length >= layers",
        arg=info["num_layers"] if info["num_tokens"] <= MOST_STREAMED_TOKENS else 0,
    )
    tab.wait_for_timeout(SETTLED_MS)
    tab.evaluate("first.on = false")
    yield tab
    context.close()


def first_paint(browser: Browser, path: Path, info: Info, rounds: int, goal: str = "") -> Row:
    """From displaying a widget to its first paint, in fresh loads of its page."""
    watched, painted = seen_first(info["num_layers"]), []
    for _ in range(rounds):
        with loaded(browser, path, info, watched) as tab:
            painted.append(
                tab.evaluate(
                    "first.changes.at(-1) - performance.getEntriesByName('display')[0].startTime"
                )
            )
    return Row("first paint, the state being there", spread(painted), goal)


def _cached_clicks(tab: Page, info: Info, count: int) -> Iterator[Row]:
    asked = {
        "a patch": f"measure.patches('{PATCHES}', {count}, {info['rows']}, {info['cols']}, 1)",
        "a layer": f"measure.layers('{ROOT}', {count}, {info['num_layers']}, '{PATCHES}')",
    }
    if info["num_tokens"] > MOST_STREAMED_TOKENS:
        del asked["a patch"]  # only visited ones are at hand, and there is no kernel to visit with
    for on, script in asked.items():
        drawn, painted = zip(*tab.evaluate(script), strict=True)
        yield Row(f"click on {on}, no kernel: the canvas is drawn", with_most(drawn))
        yield Row(f"click on {on}, no kernel: the frame is painted", with_most(painted), "<= 16 ms")


def scrubbing(tab: Page, options: argparse.Namespace) -> Row:
    """A slider that is moved by a layer every frame."""
    slider, canvas = (f"{ROOT} [data-testid={name}]" for name in ("layer-slider", "map-canvas"))
    script = f"measure.scrub('{slider}', {options.scrub_ms}, '{canvas}')"
    began = [tab.evaluate(script) for _ in range(options.rounds)]
    rates = [1000 * (len(times) - 1) / (times[-1] - times[0]) for times in began]
    longest = max(b - a for times in began for a, b in pairwise(times))
    return Row(
        "DAAM scrubber, a layer every frame",
        f"{spread(rates, 'frames a second')}, longest frame {longest:.0f} ms",
    )


# In JupyterLab ----------------------------------------------------------------------------------

CELLS = (
    """
import time, timm, torch
from PIL import Image
from sklearn.datasets import load_sample_image
import vit_attention_widget as vaw

torch.manual_seed(0)
model = timm.create_model({name!r}, **{options!r}).eval()
picture = Image.fromarray(load_sample_image({photograph!r}))
explorer = None

def refuse(layer):
    raise vaw.errors.ProtocolError("Whole matrices are kept back: every click asks the kernel.")
""",
    """
explorer = vaw.Explorer(model, picture, metric="taylor")
explorer.session.attention_layer = refuse
explorer
""",
)


def with_kernel(shape: Shape, browser: Browser, options: argparse.Namespace) -> Iterator[Row]:
    """From running a cell to its first paint, and clicks that the kernel has to answer."""
    given = {"name": shape.name, "options": shape.options, "photograph": PHOTOGRAPH}
    named = {"name": "python3", "display_name": "Python 3", "language": "python"}
    book = nbformat.v4.new_notebook(metadata={"kernelspec": named})
    book.cells = [nbformat.v4.new_code_cell(cell.format(**given).strip()) for cell in CELLS]
    with tempfile.TemporaryDirectory() as folder:
        notebook, home = Path(folder, "browser.ipynb"), Path(folder, "lab")
        nbformat.write(book, notebook)
        home.mkdir()
        with jupyterlab(home, browser) as host, host.opened(notebook) as lab:
            lab.page.add_script_tag(content=SCRIPT)
            lab.page.evaluate("jupyterapp.commands.execute('notebook:run-cell-and-select-next')")
            lab.wait_idle(120)
            layers = int(lab.python("print(vaw.describe(model).num_layers)"))
            first = [_cell_to_paint(lab, layers) for _ in range(options.rounds)]
            yield Row("JupyterLab, from running the cell to the first paint", spread(first))
            lab.python("explorer.session.cancel(); explorer.wait()")
            info = json.loads(lab.python("import json; print(json.dumps(explorer._model_info))"))
            clicks = f"'{PATCHES}', {options.clicks}, {info['rows']}, {info['cols']}"
            asked = lab.page.evaluate(f"measure.patches({clicks}, 2)")
            yield Row("click on a patch, answered by the kernel", with_most([t for _, t in asked]))
            lab.page.wait_for_timeout(SETTLED_MS)
            again = lab.page.evaluate(f"measure.patches({clicks}, 1)")
            painted = with_most([t for _, t in again])
            yield Row("click on a visited patch, in JupyterLab", painted, "<= 16 ms")


def _cell_to_paint(lab: Lab, layers: int) -> float:
    lab.python("explorer and (explorer.session.cancel(), explorer.wait(), explorer.close())")
    lab.page.evaluate(
        f"""() => {{
          globalThis.first = measure.watch({json.dumps(seen_first(layers))});
          globalThis.began = performance.now();
          jupyterapp.commands.execute("notebook:run-cell");
        }}"""
    )
    lab.wait_idle(120)
    lab.python("while not explorer._maps: time.sleep(0.01)")
    lab.page.wait_for_timeout(SETTLED_MS)
    return float(lab.page.evaluate("(first.on = false, first.changes.at(-1) - began)"))
