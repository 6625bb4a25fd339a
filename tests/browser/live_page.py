"""The live page, served and open."""

from __future__ import annotations

import base64
import functools
import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from playwright.sync_api import Browser, Page
from safetensors.numpy import load

PAGE = "project/live"
"""Where the page lies on its host: not at the root, as beside the documentation."""

PRUNE = """async (heads) => {
  const times = [];
  const { traits } = live.session;
  const beat = () => new Promise((resolve) => setTimeout(resolve));
  for (const head of heads) {
    const version = traits._version;
    const history = { pruned: [head], undo: [], redo: [] };
    const started = performance.now();
    live.model.set("_history", history);
    live.model.set("pruned_heads", [head]);
    live.model.save_changes();
    while (traits._version === version) await beat();
    times.push([performance.now() - started, live.network.milliseconds]);
    await live.kernel.answer("cancel_job", {}); // the rest of it would take seconds
    while (live.network.busy) await beat();
  }
  await live.kernel.answer("go_on", {});
  while (traits.status.state !== "idle") await beat();
  return times;
}"""
"""Prunes heads one by one: milliseconds to each decision, and those of the model's own run."""


CHOOSE = """(changes) => {
  for (const name in changes) live.model.set(name, changes[name]);
  live.model.save_changes();
}"""
"""Selects, as a view does."""


BASE64 = """((view) => {
  const bytes = new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
  return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
})"""


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Nothing is said of each file."""


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address of a folder, as ``python -m http.server`` serves it."""
    handler = functools.partial(_Quiet, directory=folder)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


class Live:
    """The page, what it asked for, and what it complained of."""

    def __init__(self, page: Page, folder: Path) -> None:
        self.page, self.folder = page, folder
        self.asked: list[str] = []
        self.said: list[str] = []
        page.on("request", lambda request: self.asked.append(request.url))
        page.on("console", lambda message: self.said.append(message.text))
        page.on("pageerror", lambda error: self.said.append(str(error)))

    def until(self, condition: str) -> None:
        self.page.evaluate(
            f"""async () => {{
              for (const started = Date.now(); !({condition}); ) {{
                const status = JSON.stringify(live.session.traits.status);
                if (Date.now() - started > 60000) throw Error(`waited for it: ${{status}}`);
                await new Promise((resolve) => setTimeout(resolve, 5));
              }}
            }}"""
        )

    def ready(self) -> None:
        """The model was loaded, and has computed all that the page starts with."""
        self.page.locator("[data-testid=headline]").first.wait_for()
        self.until("live.session.traits._version > 1")
        self.idle()

    def idle(self) -> None:
        self.until('live.session.traits.status.state === "idle"')

    def select(self, **changes: object) -> None:
        """As a view does, and wait for all that comes of it."""
        self.page.evaluate(CHOOSE, changes)
        self.idle()

    def ask(self, request: str, **params: object) -> None:
        self.page.evaluate(
            "([request, params]) => live.kernel.answer(request, params)", [request, params]
        )

    def answer(self, request: str, **params: object) -> bytes:
        """The bytes that a request is answered with."""
        text = self.page.evaluate(
            f"async ([request, params]) => {BASE64}(await live.kernel.answer(request, params))",
            [request, params],
        )
        return base64.b64decode(text)

    def trait(self, name: str) -> Any:
        return self.page.evaluate("(name) => live.session.traits[name]", name)

    def tensors(self, name: str) -> dict[str, NDArray[Any]]:
        text = self.page.evaluate(f"(name) => {BASE64}(live.session.traits[name])", name)
        return load(base64.b64decode(text)) if text else {}

    def prune(self, *heads: tuple[int, int]) -> list[tuple[float, float]]:
        """Milliseconds to the decision without each head, and those of the model's own run."""
        return [(decided, alone) for decided, alone in self.page.evaluate(PRUNE, heads)]


@contextmanager
def opened(host: Path, browser: Browser) -> Iterator[Live]:
    """The page at ``PAGE`` in a folder, once all that it starts with was computed."""
    context = browser.new_context(viewport={"width": 980, "height": 1000})
    with served(host) as root:
        address = f"{root}{PAGE}/"
        live = Live(context.new_page(), host / PAGE)
        live.page.goto(address)
        live.ready()
        yield live
        context.close()
        assert live.said == []
        ours = (address, "data:", "blob:")
        assert {url for url in live.asked if not url.startswith(ours)} == set()
