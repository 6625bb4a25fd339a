"""Hosts that are no JupyterLab: a small app for each, its server, and its address."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

EXPLORER = "vaw.Explorer(vaw.demo.load_model(), vaw.demo.scene(seed=1).image)"

MARIMO = f"""
import marimo

app = marimo.App(width="full")


@app.cell
def _():
    import vit_attention_widget as vaw

    explorer = {EXPLORER}
    explorer
    return


if __name__ == "__main__":
    app.run()
"""

SOLARA = f"""
import solara
import vit_attention_widget as vaw


@solara.component
def Page():
    solara.display(solara.use_memo(lambda: {EXPLORER}, []))
"""

SHINY = f"""
from shiny import App, ui
from shinywidgets import output_widget, render_widget
import vit_attention_widget as vaw


def server(input, output, session):
    @render_widget
    def explorer():
        return {EXPLORER}


page = ui.page_fluid(output_widget("explorer", height="auto", fillable=False))
app = App(page, server)
"""

PANEL = f"""
import panel as pn
import vit_attention_widget as vaw

pn.extension("ipywidgets")
pn.panel({EXPLORER}).servable()
"""


@dataclass(frozen=True)
class App:
    """A page with an Explorer, and the command that serves it; {port} is filled in."""

    needs: tuple[str, ...]
    source: str
    command: tuple[str, ...]


APPS = {
    "marimo": App(
        ("marimo",),
        MARIMO,
        ("marimo", "run", "page.py", "--headless", "--no-token", "--port", "{port}"),
    ),
    "solara": App(
        ("solara.server", "solara_assets"),
        SOLARA,
        ("solara", "run", "page.py", "--no-open", "--production", "--port", "{port}"),
    ),
    "shiny": App(
        ("shiny", "shinywidgets"),
        SHINY,
        ("shiny", "run", "page.py", "--port", "{port}"),
    ),
    "panel": App(
        ("panel", "ipywidgets_bokeh"),
        PANEL,
        ("panel", "serve", "page.py", "--index", "page", "--port", "{port}"),
    ),
}


@contextlib.contextmanager
def serving(app: App, folder: Path) -> Iterator[str]:
    """The address of an app, for as long as it is asked."""
    (folder / "page.py").write_text(app.source)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    command = [sys.executable, "-m", *(part.format(port=port) for part in app.command)]
    environment = {
        **os.environ,
        "PYTHONPATH": str(Path(__file__).parents[2]),
        "OMP_WAIT_POLICY": "PASSIVE",
    }
    with (folder / "server.log").open("w") as log:
        server = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)
        try:
            address = f"http://127.0.0.1:{port}"
            _wait_for(address, server)
            yield address
        finally:
            server.kill()
            server.wait()


def _wait_for(address: str, server: subprocess.Popen[bytes]) -> None:
    for _ in range(600):
        if server.poll() is not None:
            raise RuntimeError("The server ended before it answered; see server.log.")
        try:
            urllib.request.urlopen(address, timeout=30).close()
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise RuntimeError("The server did not answer within a minute.")
