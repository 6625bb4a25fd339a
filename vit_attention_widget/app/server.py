"""The notebook as a page, served by Voila to this machine, or to whom the token was given."""

from __future__ import annotations

import json
import logging
import os
import secrets
import signal
import socket
import sys
import tempfile
import webbrowser
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from html import escape
from pathlib import Path
from typing import Any

from ..errors import ParameterError
from ..results.optional import optional

__all__ = ["LOCAL", "USUAL_PORT", "check_installed", "free_port", "leads_to", "serve"]

LOCAL = "127.0.0.1"
USUAL_PORT = 8866
_TRIED = 50
_OWN_ONLY = (
    "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; "
    "frame-ancestors 'self'; form-action 'self'; object-src 'none'"
)
"""What the page may load: of this server only, as Voila's own page asks others for fonts."""

_CONFIGURED = {
    "VoilaConfiguration": {"show_tracebacks": True},
    "KernelManager": {
        "shutdown_wait_time": 2.0,  # s; a kernel has nothing to save
        "transport": "tcp" if sys.platform == "win32" else "ipc",  # of no other user
    },
}


def check_installed() -> None:
    """Refuse to begin what cannot be shown.

    Raises
    ------
    ParameterError
        If the server or the kernel is not installed; the message says how to install them.
    """
    for module in ("voila", "ipykernel"):
        optional(module, "To open the Explorer in the browser", "app")


def free_port(host: str, port: int | None) -> int:
    """The port that was asked for, or the first free one from 8866 on.

    Raises
    ------
    ParameterError
        If it is taken or may not be used, or the host is not this machine's.
    """
    wanted = range(USUAL_PORT, USUAL_PORT + _TRIED) if port is None else [port]
    for each in wanted:
        try:
            family, kind, _, _, address = socket.getaddrinfo(host, each, type=socket.SOCK_STREAM)[0]
            with socket.socket(family, kind) as probe:
                if os.name == "posix":  # on Windows it would let two listen at one port
                    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(address)
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or str(error)
        else:
            return each
    ports = f"port {wanted[0]}" + (f" to {wanted[-1]}" if len(wanted) > 1 else "")
    raise ParameterError(f"Nothing can listen at {host}, {ports}: {reason}. Try another --port.")


def serve(
    notebook: Path,
    host: str,
    port: int,
    browser: bool,
    say: Callable[[str], None],
    dark: bool = False,
) -> None:
    """Serve a notebook as a page until Ctrl-C; its kernels end with it.

    Parameters
    ----------
    notebook : path
        Each visit runs it in a kernel of its own.
    host, port
        Where to listen; ``port`` is free.
    browser : bool
        Whether to open the page in the user's browser.
    say : callable
        Is given the lines for the user.
    dark : bool
        Whether the page is dark.
    """
    from traitlets.config import Config
    from voila.app import Voila

    logging.getLogger("tornado").setLevel(logging.ERROR)
    config = Config(_CONFIGURED)
    config.VoilaConfiguration.theme = "dark" if dark else "light"
    token = secrets.token_urlsafe(24)
    seen_as = socket.gethostname() if host in ("", "0.0.0.0", "::") else host
    address = f"http://{f'[{seen_as}]' if ':' in seen_as else seen_as}:{port}/?token={token}"

    class Page(Voila):  # type: ignore[misc]
        """Voila as it is; it says where it is once it listens."""

        def launch_browser(self) -> None:
            _end_by_signals()
            say(f"The Explorer is at {address}")
            say("Ctrl-C ends it." if browser else "Open that address in a browser; Ctrl-C ends it.")
            if browser and not webbrowser.open(leads_to(address, kernels)):
                say("No browser was found here: open that address in one.")

    with _own_kernel() as kernels:
        page = Page(
            ip=host, port=port, port_retries=0, token=token, notebook_path=str(notebook),
            root_dir=str(notebook.parent), config_file_paths=[], log_level=logging.ERROR,
            tornado_settings={"headers": {"Content-Security-Policy": _OWN_ONLY}},
            config=config,
        )  # fmt: skip
        page.initialize([])
        page.start()


def _end_by_signals() -> None:
    """End the server between two of its steps: inside one, Ctrl-C may be lost in other's code."""
    from tornado.ioloop import IOLoop

    loop = IOLoop.current()
    for name in ("SIGINT", "SIGHUP", "SIGTERM"):  # a closed terminal ends it as Ctrl-C does
        if hasattr(signal, name):
            signal.signal(
                getattr(signal, name), lambda *_: loop.add_callback_from_signal(loop.stop)
            )


def leads_to(address: str, folder: str) -> str:
    """A file that goes on to an address: all of a machine see a browser's command line.

    So must not stand there what lets one in, the token. The folder is the user's alone.
    """
    page = Path(folder, "open.html")
    page.write_text(f'<meta http-equiv="refresh" content="0;url={escape(address)}">', "utf-8")
    return page.as_uri()


@contextmanager
def _own_kernel() -> Iterator[str]:
    """Let kernels be of this Python, whatever others the user has installed under that name.

    Gives a folder of the user's alone, which goes with it.
    """
    from ipykernel.kernelspec import write_kernel_spec

    before = os.environ.get("JUPYTER_PATH")
    with tempfile.TemporaryDirectory(prefix="vaw-", ignore_cleanup_errors=True) as folder:
        spec = Path(write_kernel_spec(Path(folder, "kernels", "python3")), "kernel.json")
        content: dict[str, Any] = json.loads(spec.read_text("utf-8"))
        content["argv"][0] = sys.executable
        spec.write_text(json.dumps(content), "utf-8")
        os.environ["JUPYTER_PATH"] = os.pathsep.join(filter(None, (folder, before)))
        try:
            yield folder
        finally:
            if before is None:
                del os.environ["JUPYTER_PATH"]
            else:
                os.environ["JUPYTER_PATH"] = before
