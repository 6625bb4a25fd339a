"""The Explorer in hosts that are no JupyterLab: it paints, answers, and keeps its keys to itself.

Notebook 7 and Voila are served by the JupyterLab that the other tests use. Panel, Shiny and Solara
are tried where they are installed: ``pip install -e '.[hosts]'``. `docs/hosts.md` has the table.
"""

from __future__ import annotations

import contextlib
import importlib.util
import shutil
from collections.abc import Iterator
from pathlib import Path

import anywidget
import pytest
from playwright.sync_api import Page, Route

from .jupyterlab import KERNEL, Host, written
from .servers import APPS, EXPLORER, serving

pytestmark = pytest.mark.browser

JUPYTER = {"notebook": "notebooks", "voila": "voila/render"}
CELL = f"import vit_attention_widget as vaw\n{EXPLORER}"
COMMANDS = ["x", "a", "d", "d", "Enter", "Shift+Enter", "ArrowLeft"]
"""Keys with which notebooks cut, add, delete and run cells."""

OFFLINE = ("marimo", "panel")
"""Hosts that need not ask the network even where anywidget is in another environment."""

LISTEN = """() => {
  window.leaked = [];
  document.addEventListener('keydown', ({ key }) => window.leaked.push(key));
}"""


@contextlib.contextmanager
def _opened(name: str, host: Host, folders: pytest.TempPathFactory) -> Iterator[Page]:
    """A page of a host in which an Explorer is to come."""
    context = host.browser.new_context(viewport={"width": 1280, "height": 1600})
    page = context.new_page()
    page.set_default_timeout(30_000)
    answer = _nothing if name in OFFLINE else _as_installed
    page.route(lambda url: not url.startswith("http://127.0.0.1"), answer)
    with contextlib.ExitStack() as stack:
        stack.callback(context.close)
        if name in APPS:
            for module in APPS[name].needs:
                if importlib.util.find_spec(module.partition(".")[0]) is None:
                    pytest.skip(f"{module} is not installed: pip install -e '.[hosts]'")
            page.goto(stack.enter_context(serving(APPS[name], folders.mktemp(name))))
        else:
            notebook = written([CELL], folders)
            folder = folders.mktemp(name)
            shutil.copytree(notebook.parent, host.folder / folder.name)
            page.goto(f"{host.address}/{JUPYTER[name]}/{folder.name}/{notebook.name}")
            stack.callback(host.end_kernels, folder)
        if name == "notebook":
            page.wait_for_function(f"() => {KERNEL}?.status === 'idle'")
            page.evaluate("window.jupyterapp.commands.execute('notebook:run-all-cells')")
        page.get_by_test_id("heads-canvas").first.wait_for()
        yield page


def _nothing(route: Route) -> None:
    route.abort()


def _as_installed(route: Route) -> None:
    """What a host asks the network for: anywidget's own code, as it is installed, else nothing."""
    package = Path(anywidget.__file__).parent
    code = package / "nbextension" / "index.js"
    if "/anywidget@" in route.request.url and code.exists():
        headers = {"access-control-allow-origin": "*"}
        route.fulfill(path=code, content_type="text/javascript", headers=headers)
    else:
        route.abort()


@pytest.mark.parametrize("name", [*JUPYTER, *APPS])
def test_the_explorer_works_in(
    name: str, host: Host, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with _opened(name, host, tmp_path_factory) as page:
        page.get_by_text("ready").first.wait_for()  # what threads computed has come
        page.evaluate(LISTEN)
        page.get_by_test_id("patch-canvas").first.click()
        for key in COMMANDS:
            page.keyboard.press(key)
        assert page.evaluate("window.leaked") == []
        page.get_by_test_id("head-2-2").first.hover()
        page.get_by_test_id("prune-2-2").first.click()
        decision = page.get_by_test_id("decision").first
        decision.get_by_text("before").wait_for()  # Python has run the model again
        page.locator(".vaw-help-button").first.click()
        _check_help(page)


def _check_help(page: Page) -> None:
    """No word of the help lies on another, and none is left of or beyond its box."""
    boxes = page.locator(".vaw-help dt, .vaw-help dd").evaluate_all(
        """(all) => all.map((one) => {
          const range = document.createRange();
          range.selectNodeContents(one);
          const { left, top, right, bottom } = range.getBoundingClientRect();
          return [left, top, right, bottom];
        })"""
    )
    assert len(boxes) > 20
    for i, (left, top, right, bottom) in enumerate(boxes):
        for x, y, to_x, to_y in boxes[:i]:
            assert to_x <= left or right <= x or to_y <= top or bottom <= y
