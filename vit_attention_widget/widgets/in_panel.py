"""What Panel shows of a widget: its own pane, with anywidget's code brought along.

The pane of Panel has a page load that code from a CDN. It can be told another, and the address that
it makes of that ends in the module's name; so the code itself is given as an address, ``data:``, of
which whatever follows a ``#`` is no part.
"""

from __future__ import annotations

import base64
import importlib
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path

import anywidget
from ipywidgets import Widget

__all__ = ["pane_of"]

_CODE = Path(anywidget.__file__).parent / "nbextension" / "index.js"


def pane_of(widget: Widget) -> object:
    """A ``panel.pane.IPyWidget`` as wide as its place, which asks the network for nothing."""
    return _panes()(widget)


@cache
def _panes() -> Callable[[object], object]:
    """Makes panes of one class: each class is registered with Panel for good."""
    panel = importlib.import_module("panel")

    class Pane(panel.pane.IPyWidget):  # type: ignore[misc, name-defined]
        def _get_model(self, *args: object, **kwargs: object) -> object:
            model = super()._get_model(*args, **kwargs)
            if hasattr(model, "cdn") and _CODE.exists():  # in notebooks there is no need of one
                code = base64.b64encode(_CODE.read_bytes()).decode("ascii")
                model.cdn = f"data:text/javascript;base64,{code}#"
            return model

    return partial(Pane, sizing_mode="stretch_width")
