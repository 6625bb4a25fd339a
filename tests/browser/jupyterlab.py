"""A real JupyterLab in a real Chromium, with a configuration of its own."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import nbformat
import pytest
from playwright.sync_api import Browser, Page

from . import forked

ARTIFACTS = Path(__file__).parent.parent / "artifacts"
APP = "window.jupyterapp"
SETTINGS = ".jupyter/config/lab/user-settings"
KERNEL = f"{APP}?.shell?.currentWidget?.sessionContext?.session?.kernel"

_ASK_KERNEL = f"""async (code) => {{
  const future = {KERNEL}.requestExecute({{ code, store_history: false }});
  let text = "";
  future.onIOPub = (message) => {{
    if (message.header.msg_type === "stream") text += message.content.text;
    if (message.header.msg_type === "error") text += message.content.traceback.join("\\n");
  }};
  await future.done;
  return text;
}}"""

SLOW_HOST = int(os.environ.get("VAW_SLOW_HOST", "0"))
"""Milliseconds by which what kernels tell widgets comes late, in a page three times slower.

It comes after what cells print, too: no output can be sent into an ``Output`` widget so.
"""

_LATE = """((late) => {
  const says = (data, word) =>
    (typeof data === "string" ? data : new TextDecoder().decode(data)).includes(word);
  const Prompt = WebSocket;
  window.WebSocket = class extends Prompt {
    get onmessage() { return super.onmessage; }
    set onmessage(listener) {
      super.onmessage = (event) => ["comm_msg", "comm_close"].some((it) => says(event.data, it))
        ? setTimeout(() => listener(event), late) : listener(event);
    }
  };
})"""


@dataclass
class Lab:
    """An open notebook: the page, and what went wrong in it."""

    page: Page
    errors: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)
    heard: float = 0.0
    """When the page last heard of a kernel, by ``time.monotonic``."""

    def run_all(self, timeout: float = 180) -> None:
        """Run every cell and wait until the kernel is idle again."""
        self.page.evaluate(f"{APP}.commands.execute('notebook:run-all-cells')")
        self.wait_idle(timeout)

    def wait_idle(self, timeout: float = 60) -> None:
        """Wait until the kernel says that it is idle and no cell waits."""
        self.page.wait_for_function(
            f"""() => {KERNEL}?.status === 'idle'
            && ![...document.querySelectorAll('.jp-InputPrompt')]
                 .some((prompt) => prompt.textContent.includes('*'))""",
            timeout=timeout * 1000,
        )

    def python(self, code: str) -> str:
        """Run code in the notebook's kernel; what it prints."""
        return str(self.page.evaluate(_ASK_KERNEL, code)).strip()

    def until(self, code: str, expected: str, timeout: float = 60) -> str:
        """Ask the kernel until ``code`` prints ``expected``, or what it prints in the end."""
        end = time.monotonic() + timeout
        while (found := self.python(code)) != expected and time.monotonic() < end:
            time.sleep(0.1)
        return found

    def wait_quiet(self, seconds: float = 1.0) -> None:
        """Wait until kernels have told the page nothing for so long."""
        while time.monotonic() - self.heard < seconds + SLOW_HOST / 1000:
            self.page.wait_for_timeout(100)

    def _hears(self, _frame: str | bytes) -> None:
        self.heard = time.monotonic()

    def notebook(self) -> nbformat.NotebookNode:
        """The notebook as it would be saved now: its cells, and what they put out."""
        content = self.page.evaluate(f"() => {APP}.shell.currentWidget.content.model.toJSON()")
        return nbformat.from_dict(content)

    def theme(self, name: str) -> None:
        """Choose a theme of JupyterLab, e.g. "JupyterLab Dark"."""
        self.page.evaluate(
            f"(theme) => {APP}.commands.execute('apputils:change-theme', {{ theme }})", name
        )
        self.page.wait_for_timeout(800)

    def screenshot(self, name: str, selector: str | None = None) -> Path:
        """Keep a picture of the page, or of one element."""
        path = ARTIFACTS / f"{name}.png"
        (self.page.locator(selector).first if selector else self.page).screenshot(path=path)
        return path


def written(cells: Iterable[str], folders: pytest.TempPathFactory) -> Path:
    """A new notebook with these cells of code."""
    path = folders.mktemp("notebook") / "notebook.ipynb"
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(cell) for cell in cells], metadata={"kernelspec": kernel}
    )
    nbformat.write(notebook, path)
    return path


@dataclass(frozen=True)
class Host:
    """A JupyterLab that serves a folder, and a browser to open it in."""

    address: str
    folder: Path
    browser: Browser

    @contextlib.contextmanager
    def opened(self, notebook: Path) -> Iterator[Lab]:
        """A working copy of a notebook, in a browser and a workspace that nobody used before."""
        ARTIFACTS.mkdir(exist_ok=True)
        _settings_as_at_first(self.folder)
        folder = Path(tempfile.mkdtemp(prefix="lab", dir=self.folder))
        shutil.copy(notebook, folder / notebook.name)
        context = self.browser.new_context(viewport={"width": 1280, "height": 1000})
        lab = Lab(context.new_page())
        lab.page.on("websocket", lambda socket: socket.on("framereceived", lab._hears))
        if SLOW_HOST:
            lab.page.add_init_script(f"{_LATE}({SLOW_HOST})")
            slow = context.new_cdp_session(lab.page)
            slow.send("Emulation.setCPUThrottlingRate", {"rate": 3})
        lab.page.on("pageerror", lambda error: lab.errors.append(str(error)))
        lab.page.on("console", lambda m: lab.errors.append(m.text) if m.type == "error" else None)
        lab.page.on(
            "request",
            lambda r: lab.foreign.append(r.url) if _is_foreign(r.url, self.address) else None,
        )
        path = f"{folder.name}/tree/{folder.name}/{notebook.name}"
        lab.page.goto(f"{self.address}/lab/workspaces/{path}")
        lab.page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=90_000)
        lab.page.wait_for_function(f"() => {KERNEL}?.status === 'idle'", timeout=90_000)
        try:
            yield lab
        finally:
            context.close()
            self.end_kernels(folder)

    def end_kernels(self, folder: Path) -> None:
        """End what runs the notebooks of a folder, and no others."""
        sessions = f"{self.address}/api/sessions"
        with urllib.request.urlopen(sessions) as answer:
            open_ones = json.load(answer)
        for session in open_ones:
            if not session["path"].startswith(f"{folder.name}/"):
                continue
            end = urllib.request.Request(f"{sessions}/{session['id']}", method="DELETE")
            urllib.request.urlopen(end).close()


@contextlib.contextmanager
def jupyterlab(folder: Path, browser: Browser) -> Iterator[Host]:
    """A server of its own, with a configuration of its own, for as long as it is asked."""
    with _server(folder) as address:
        yield Host(address, folder, browser)


def _is_foreign(url: str, address: str) -> bool:
    return not url.startswith((address, "data:", "blob:", address.replace("http", "ws")))


@contextlib.contextmanager
def _server(folder: Path) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    home = folder / ".jupyter"
    _settings_as_at_first(folder)
    kernel = home / "data/kernels/python3"
    kernel.mkdir(parents=True)
    argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    spec: dict[str, object] = {"argv": argv, "display_name": "Python 3", "language": "python"}
    if sys.platform == "linux":  # elsewhere libraries do not bear to be forked
        spec["metadata"] = {"kernel_provisioner": {"provisioner_name": forked.NAME}}
    (kernel / "kernel.json").write_text(json.dumps(spec))
    forked.announce(home / "path")
    paths = [str(home / "path"), os.environ.get("PYTHONPATH", "")]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",  # as in any kernel
        "JUPYTER_CONFIG_DIR": str(home / "config"),
        "JUPYTER_DATA_DIR": str(home / "data"),
        "JUPYTER_PREFER_ENV_PATH": "0",  # its kernel is ours
        "JUPYTER_RUNTIME_DIR": str(home / "runtime"),
        "JUPYTERLAB_SETTINGS_DIR": str(folder / SETTINGS),
        "JUPYTERLAB_WORKSPACES_DIR": str(home / "workspaces"),
        "OMP_WAIT_POLICY": "PASSIVE",
    }
    command = [
        *(sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"),
        f"--ServerApp.port={port}",
        "--ServerApp.ip=127.0.0.1",
        "--IdentityProvider.token=",
        "--ServerApp.password=",
        "--ServerApp.disable_check_xsrf=True",
        "--LabApp.expose_app_in_browser=True",
        "--JupyterNotebookApp.expose_app_in_browser=True",
        f"--ServerApp.root_dir={folder}",
    ]
    log = (folder / "server.log").open("w")
    server = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        address = f"http://127.0.0.1:{port}"
        _wait_for(address, server)
        yield address
    finally:
        server.terminate()
        try:
            server.wait(15)
        except subprocess.TimeoutExpired:
            server.kill()
        log.close()


def _settings_as_at_first(folder: Path) -> None:
    """What the user of JupyterLab chose is forgotten; it asks nobody for news."""
    shutil.rmtree(folder / SETTINGS, ignore_errors=True)
    news = folder / SETTINGS / "@jupyterlab/apputils-extension"
    news.mkdir(parents=True)
    (news / "notification.jupyterlab-settings").write_text(json.dumps({"fetchNews": "false"}))


def _wait_for(address: str, server: subprocess.Popen[bytes]) -> None:
    for _ in range(600):
        if server.poll() is not None:
            raise RuntimeError("JupyterLab ended before it answered; see server.log.")
        with contextlib.suppress(OSError), urllib.request.urlopen(f"{address}/api", timeout=2):
            return
        time.sleep(0.1)
    raise RuntimeError("JupyterLab did not answer within a minute.")
