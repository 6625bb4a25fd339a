"""The browser's part of the widgets, and how it gets to the browser."""

from __future__ import annotations

import os
import sys
import threading
import weakref
from pathlib import Path
from typing import ClassVar, Protocol

import ipywidgets
import traitlets
from IPython.core.getipython import get_ipython

from ..export.built_files import STATIC, built_file

__all__ = ["Bundle", "bundle_of", "send_more"]


class Bundle(ipywidgets.Widget):  # type: ignore[misc]
    """Script and style of one kind of widget, which all of that kind in a notebook share."""

    of: ClassVar[dict[str, Bundle]] = {}
    """By the name of the script."""

    script = traitlets.Unicode().tag(sync=True)
    style = traitlets.Unicode().tag(sync=True)


class HasMore(Protocol):
    """A widget whose panels' code may come after its own."""

    stem: ClassVar[str]
    _bundle: Bundle | None
    _more: Bundle | None


def bundle_of(cls: type, stem: str) -> Bundle | None:
    """Make a class of widgets ready; what its instances share, or None where each has its own.

    Notebooks have models that all widgets of a page reach, live, saved and exported. Other hosts
    may not: there, and where the environment variable ``VAW_INLINE`` is set, each widget has all
    its code. A file is never put on the class, except to work on it: anywidget would hold the
    widgets for it.

    Raises
    ------
    ParameterError
        If the files were not built.
    """
    script, style = built_file(f"{stem}.js"), built_file("style.css")
    if os.environ.get("VAW_DEV"):  # anywidget watches paths and reloads them in the browser
        _put(cls, _esm=script, _css=style)
        return None
    if os.environ.get("VAW_INLINE") or not _in_notebook():
        _put(cls, _esm=script, _css=style, as_text=True)
        return None
    _put(cls, _esm=STATIC / "loader.js", as_text=True)
    first = f"{stem}.first.js"
    return _sent(first if (STATIC / first).exists() else script.name, style)


def send_more(widget: HasMore) -> None:
    """Send the code of panels that are not open at first, once the cell that runs has run.

    So what the cell displays does not wait for it, and notebooks that are saved or run without a
    browser have it.
    """
    script = f"{widget.stem}.more.js"
    if widget._bundle is None or not (STATIC / script).exists():
        return
    shell, reference = get_ipython(), weakref.ref(widget)

    def send(*_: object) -> None:
        if _ and shell is not None:
            shell.events.unregister("post_run_cell", send)
        alive = reference()
        if alive is not None and alive._bundle is not None and alive._bundle.comm is not None:
            alive._more = _sent(script)

    if _in_cell() and shell is not None:
        shell.events.register("post_run_cell", send)
    else:
        send()


def _sent(script: str, style: Path | None = None) -> Bundle:
    """The model that has a script, sent unless it was."""
    bundle = Bundle.of.get(script)
    if bundle is None or bundle.comm is None:  # all widgets may have been closed
        bundle = Bundle(
            script=(STATIC / script).read_text("utf-8"),
            style=style.read_text("utf-8") if style else "",
        )
        Bundle.of[script] = bundle
    return bundle


def _put(cls: type, *, as_text: bool = False, **files: Path) -> None:
    for name, path in files.items():
        if name not in vars(cls):
            setattr(cls, name, path.read_text("utf-8") if as_text else path)


def _in_notebook() -> bool:
    """Whether Jupyter's own kernel runs, and not Colab, where every cell has a page of its own."""
    kernel = getattr(get_ipython(), "kernel", None)
    return type(kernel).__module__.startswith("ipykernel") and "google.colab" not in sys.modules


def _in_cell() -> bool:
    """Whether a cell is running here, which will end."""
    kernel = getattr(get_ipython(), "kernel", None)
    parent = {} if kernel is None else kernel.get_parent()
    running = parent.get("header", {}).get("msg_type") == "execute_request"
    return running and threading.current_thread() is threading.main_thread()
