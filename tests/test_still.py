"""The picture that is displayed beside a widget, and what results show in a cell."""

from __future__ import annotations

import base64
import builtins
import io
import re
import sys
import time
import types
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anywidget
import nbformat
import numpy as np
import pytest
from IPython.core.interactiveshell import InteractiveShell
from IPython.display import display
from ipywidgets import Output, Widget
from nbconvert.nbconvertapp import NbConvertApp
from PIL import Image
from traitlets.config import Config

import vit_attention_widget as vaw
from vit_attention_widget.errors import ParameterError
from vit_attention_widget.export.picture import picture_of
from vit_attention_widget.widgets import bundle, still

SHARING = Path(__file__).parent.parent / "docs" / "sharing.md"
WIDGET = "application/vnd.jupyter.widget-view+json"
STEMS = (
    "explorer", "head_grid", "attention_inspector", "daam_scrubber", "compare_view",
    "head_strength", "attention_pattern_map",
)  # fmt: skip


@pytest.fixture(scope="module")
def session() -> Iterator[vaw.Session]:
    names = ["$x_{猫" if kind == "ring" else kind for kind in vaw.demo.KINDS]  # no formula
    session = vaw.Session(vaw.demo.load_model(), vaw.demo.scene(seed=1).image, class_names=names)
    session.compare_maps("methods")
    session.measure_strength()
    session.wait()
    yield session
    session.close()


class Published(list[dict[str, Any]]):
    """What was displayed, and sent again."""

    def __call__(self, data: Any, metadata: Any, **how: Any) -> None:
        self.append({"data": data, "metadata": metadata, **how})


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch) -> Published:
    published = Published()
    monkeypatch.setattr(still, "publish_display_data", published)
    return published


def drawn(png: bytes) -> Image.Image:
    picture = Image.open(io.BytesIO(png))
    assert picture.format == "PNG"
    assert min(picture.size) > 150
    assert len(np.unique(np.asarray(picture.convert("L")))) > 20  # more than a ground
    return picture


def test_every_kind_of_widget_has_a_picture_of_its_own(session: vaw.Session) -> None:
    pictures = {stem: picture_of(session, stem) for stem in STEMS}
    for picture in pictures.values():
        drawn(picture)
    others = {stem: picture for stem, picture in pictures.items() if "pattern" not in stem}
    assert len(set(others.values())) == len(others)
    session.selected_layer = 2
    assert picture_of(session, "explorer") != pictures["explorer"]


def test_a_picture_follows_the_style_of_the_users_plots_and_needs_no_latex(
    session: vaw.Session,
) -> None:
    style = pytest.importorskip("matplotlib.style")
    with style.context(["dark_background", {"text.usetex": True}]), warnings.catch_warnings():
        warnings.simplefilter("error")  # of letters that the font lacks
        picture = drawn(picture_of(session, "head_grid"))
    values = np.asarray(picture.convert("L"))
    assert values[0, 0] == 0
    assert (values == 255).mean() > 0.001  # what is written


@pytest.fixture
def shell() -> Iterator[InteractiveShell]:
    yield InteractiveShell.instance(config=Config(HistoryManager={"enabled": False}))
    InteractiveShell.clear_instance()


def test_what_a_cell_does_not_display_itself_is_the_widget_in_its_place(
    session: vaw.Session,
    published: Published,
    shell: InteractiveShell,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    grid = vaw.HeadImportanceGrid(session=session)
    output = Output()
    output.append_display_data(grid)
    [kept] = output.outputs
    assert WIDGET in kept["data"]
    assert not published  # nor does it come up beside
    sent: list[dict[str, Any]] = []
    monkeypatch.setattr(shell.display_pub, "publish", lambda **message: sent.append(message))
    display(grid, display_id="of the user")
    assert WIDGET in sent[0]["data"]
    assert sent[0]["transient"] == {"display_id": "of the user"}
    assert not published
    display(grid)
    assert [each["update"] for each in published] == [False]
    output.close()
    grid.close()
    display(grid)  # it is text by now
    assert "closed" in sent[-1]["data"]["text/plain"]
    assert len(sent) == 2
    assert "Traceback" not in capsys.readouterr().out


def test_what_is_there_is_displayed_with_its_picture_at_once(
    session: vaw.Session, published: Published
) -> None:
    grid = vaw.HeadImportanceGrid(session=session)
    grid._ipython_display_()
    [shown] = published
    assert {WIDGET, "image/png", "text/plain"} <= set(shown["data"])
    assert not shown["update"]
    drawn(base64.b64decode(shown["data"]["image/png"]))
    grid.close()


def test_a_picture_is_sent_once_its_result_is_there(published: Published) -> None:
    explorer = vaw.Explorer(vaw.demo.load_model(), vaw.demo.scene(seed=2).image)
    explorer._ipython_display_()
    assert WIDGET in published[0]["data"]
    explorer.wait()
    end = time.monotonic() + 10
    while len(published) < 2 and time.monotonic() < end:
        time.sleep(0.02)
    again = published[1]
    assert again["update"]
    assert again["transient"] == published[0]["transient"]
    assert again["data"][WIDGET] == published[0]["data"][WIDGET]
    drawn(base64.b64decode(again["data"]["image/png"]))
    explorer._view_count = 1  # a page shows it: drawing it anew would disturb who looks at it
    count = len(published)
    explorer.session.selected_layer = 1
    explorer.wait()
    assert len(published) == count
    explorer._view_count = 0
    for _ in range(2):  # the second time nothing has changed
        explorer.wait()
        assert len(published) == count + 1
    explorer.close()


def test_in_colab_a_widget_says_how_it_is_shown_and_has_all_its_code(
    session: vaw.Session, published: Published, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever looks on runs nothing first; each cell has a page that reaches no other."""
    enabled: list[bool] = []
    colab = types.ModuleType("google.colab.output")
    colab.__dict__.update(
        enable_custom_widget_manager=lambda: enabled.append(True),
        _widgets=types.SimpleNamespace(_installed_url="https://ssl.gstatic.com/manager.js"),
    )
    monkeypatch.setitem(sys.modules, "google.colab", types.ModuleType("google.colab"))
    monkeypatch.setitem(sys.modules, "google.colab.output", colab)
    anywidget._util.enable_custom_widget_manager_once.cache_clear()

    kernel = type("Kernel", (), {"__module__": "ipykernel.ipkernel"})()
    monkeypatch.setattr(bundle, "get_ipython", lambda: types.SimpleNamespace(kernel=kernel))

    class InColab(vaw.HeadImportanceGrid):
        pass

    grid = InColab(session=session)
    grid._ipython_display_()
    assert enabled
    assert published[0]["metadata"][WIDGET]["colab"]["custom_widget_manager"]["url"]
    assert "image/png" in published[0]["data"]
    assert grid._bundle is None
    assert len(grid._esm) > 50_000
    grid.close()


def test_the_documented_line_shows_the_picture_where_widget_state_was_saved(
    session: vaw.Session, published: Published, tmp_path: Path
) -> None:
    """Else the page has the widget alone, for which Jupyter asks the network."""
    grid = vaw.HeadImportanceGrid(session=session)
    grid._ipython_display_()
    state = {"application/vnd.jupyter.widget-state+json": Widget.get_manager_state(widgets=[grid])}
    data = published[0]["data"]
    cell = nbformat.v4.new_code_cell(
        "grid", outputs=[nbformat.v4.new_output("display_data", data=data)]
    )
    notebook = nbformat.v4.new_notebook(cells=[cell], metadata={"widgets": state})
    nbformat.write(notebook, tmp_path / "notebook.ipynb")
    [line] = re.findall(r"^jupyter nbconvert (.*--Clear.*)$", SHARING.read_text(), re.MULTILINE)
    pictures = []
    for flags in (["--to", "html", "notebook.ipynb"], line.split()):
        app = NbConvertApp()
        app.initialize([*flags[:-1], str(tmp_path / flags[-1])])
        app.start()
        page = (tmp_path / "notebook.html").read_text("utf-8")
        pictures.append(data["image/png"] in page.replace("\n", ""))
        assert ("widget-view+json" in page.split("<body")[1]) is not pictures[-1]
    assert pictures == [False, True]
    grid.close()


def test_without_matplotlib_the_widget_is_displayed_alone(
    session: vaw.Session, published: Published, monkeypatch: pytest.MonkeyPatch
) -> None:
    imported = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.partition(".")[0] == "matplotlib":
            raise ModuleNotFoundError("No module named 'matplotlib'", name="matplotlib")
        return imported(name, *args, **kwargs)

    for name in [name for name in sys.modules if name.partition(".")[0] == "matplotlib"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(builtins, "__import__", without)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ParameterError, match="needs matplotlib"):
        picture_of(session, "explorer")
    vaw.HeadImportanceGrid(session=session)._ipython_display_()
    assert "image/png" not in published[0]["data"]
    assert WIDGET in published[0]["data"]


def test_every_result_shows_a_picture_or_a_table_in_a_cell() -> None:
    model, scenes = vaw.demo.load_model(), [vaw.demo.scene(seed=s) for s in range(2)]
    image, images = scenes[0].image, [scene.image for scene in scenes]
    trace = vaw.trace(model, image)
    pictures = [
        vaw.explainers.daam(trace),
        vaw.head_importance(trace, metric="taylor"),
        vaw.compare(model, image, methods=["attention", "rollout"]),
        vaw.attention_strength(trace),
        vaw.logit_lens(trace),
    ]
    tables = [
        trace,
        vaw.pruning_curve(trace, order="taylor"),
        vaw.partial_pruning(trace, layer=0, head=1),
        vaw.image_overview(model, images, metric="taylor"),
        vaw.evaluate(model, images, methods={"attention": vaw.explainers.attention}, steps=2),
    ]
    for result in pictures:
        assert "<img" in result._repr_html_() or "<svg" in result._repr_html_(), result
    for result in tables:
        assert "<table" in result._repr_html_() or "<img" in result._repr_html_(), result
