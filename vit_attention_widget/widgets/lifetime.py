"""How long a widget lives: as long as a variable or a page can reach it.

ipywidgets holds every widget until it is closed, and IPython whatever a cell displayed. A cell that
is run again would so add a model each time.
"""

from __future__ import annotations

import gc
import re
import weakref
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, ClassVar, ParamSpec

from IPython.core.getipython import get_ipython
from ipywidgets import Box, Layout, Widget
from ipywidgets.widgets import widget as registry

from .numbered import NumberedUpdates

__all__ = ["ReachableWidget", "weakly"]

_P = ParamSpec("_P")

_HIDDEN = re.compile(r"_{1,3}|_\d+")
"""Names under which IPython keeps what cells displayed."""


class ReachableWidget(NumberedUpdates):
    """A widget that is closed once neither a variable nor a page can reach it.

    ipywidgets holds it once it was displayed. When the cells in which it was made or displayed have
    run again, with widgets of their own, and no page shows it any more, ipywidgets and IPython's
    output history let go of it, and of the boxes that it is in. What a variable holds goes on;
    displayed again, it is as before.
    """

    _all: ClassVar[weakref.WeakSet[ReachableWidget]] = weakref.WeakSet()

    def __init__(self, *args: object, **kwargs: object) -> None:
        self._owns_layout = not isinstance(kwargs.get("layout"), Layout)  # else it is the user's
        self._places: dict[str, str] = {}  # cells where it came up, and in which run of them
        super().__init__(*args, _view_count=0, **kwargs)  # 0: pages are to count their views
        self._all.add(self)
        self.observe(self._seen_or_not, names="_view_count")
        self._come_up()

    def open(self) -> None:
        """Open a comm to the browser, which does not hold the widget."""
        super().open()
        _hold(self, False)

    def close(self) -> None:
        """Take the widget away, and its layout unless that was given, or another widget has it."""
        if self.comm is not None:  # else it is closed already, or was never open
            layout = self.layout
            super().close()
            if self._owns_layout and not any(layout is other for other in _layouts()):
                layout.close()

    def _repr_mimebundle_(
        self, **kwargs: Any
    ) -> tuple[dict[str, object], dict[str, object]] | None:
        _hold(self, True)
        self._come_up()
        return super()._repr_mimebundle_(**kwargs)

    def _come_up(self) -> None:
        """The widget was made or displayed in the cell that is running: others there are former."""
        running = _running_cell()
        if running is None:
            return
        cell, run = running
        self._places[cell] = run
        for other in list(self._all):
            if other._places.get(cell, run) != run:
                del other._places[cell]
                if not other._places:
                    other._let_go_unseen()

    def _seen_or_not(self, _: object) -> None:
        if self._is_seen():
            for box in _around(self):  # it may have been let go of
                _hold(box, True)
        else:
            self._let_go_unseen()

    def _is_seen(self) -> bool:
        """Whether a page shows it; a slow one counts views that it never made down, below 0."""
        return bool(self._view_count and self._view_count > 0)

    def _let_go_unseen(self) -> None:
        """Let go of a former widget that no page shows."""
        if self._places or self._is_seen() or self.comm is None:
            return
        for each in (self, *_around(self)):
            _hold(each, False)
            _let_go_of_output(each)
        _collect_later(self)


def _hold(widget: Widget, strongly: bool) -> None:
    """Let ipywidgets know a widget, which may keep it alive or not."""
    registry._instances[widget.model_id] = widget if strongly else weakref.proxy(widget)
    if not strongly:
        widget.comm.on_msg(weakly(widget._handle_msg))


def _around(widget: ReachableWidget) -> list[Widget]:
    """The boxes that a widget is in, those that these are in, and so on."""
    around: list[Widget] = []
    boxes = [box for box in map(_whole, list(registry._instances.values())) if box is not None]
    inside: list[Widget] = [widget]
    while inside:
        child = inside.pop()
        for box in boxes:
            if any(child is each for each in box.children) and box not in around:
                around.append(box)
                inside.append(box)
    return around


def _whole(instance: Widget) -> Box | None:
    """A box that ipywidgets knows, itself even where it is known weakly; None of another widget."""
    with suppress(ReferenceError):  # it is being closed
        if isinstance(instance, Box):
            box: Box = instance._handle_msg.__self__
            return box
    return None


def _layouts() -> Iterator[object]:
    """Layouts of all widgets that are there."""
    for widget in list(registry._instances.values()):
        with suppress(ReferenceError):  # it is being closed
            yield widget._trait_values.get("layout")


def weakly(method: Callable[_P, object]) -> Callable[_P, None]:
    """A method to be called back that does not keep its object alive."""
    reference = weakref.WeakMethod(method)

    def call(*args: _P.args, **kwargs: _P.kwargs) -> None:
        alive = reference()
        if alive is not None:
            alive(*args, **kwargs)

    return call


def _running_cell() -> tuple[str, str] | None:
    """What tells the cell that is running, and this run of it; None outside notebooks.

    Hosts that do not say which cell it is are known by its code.
    """
    kernel = getattr(get_ipython(), "kernel", None)
    parent = {} if kernel is None else kernel.get_parent()
    header = parent.get("header", {})
    if header.get("msg_type") != "execute_request":
        return None
    cell = parent.get("metadata", {}).get("cellId") or parent["content"]["code"]
    return cell, header["msg_id"]


def _let_go_of_output(displayed: object) -> None:
    """Take out of IPython's history what a cell displayed; the user's own names stay."""
    shell = get_ipython()
    if shell is None:
        return
    for names in (shell.user_ns, shell.user_ns_hidden):
        for name, value in list(names.items()):
            if value is displayed and _HIDDEN.fullmatch(name):
                names[name] = None
    output: dict[int, object] = shell.user_ns.get("_oh", {})
    for number, value in list(output.items()):
        if value is displayed:
            del output[number]
    for name in ("_", "__", "___"):
        if getattr(shell.displayhook, name, None) is displayed:
            setattr(shell.displayhook, name, None)
    if getattr(shell.last_execution_result, "result", None) is displayed:
        shell.last_execution_result = None


def _collect_later(widget: ReachableWidget) -> None:
    """Collect garbage when what is running has ended, a message or a cell, and holds it no more."""
    shell, reference = get_ipython(), weakref.ref(widget)
    if shell is None:
        return

    def once(event: str) -> None:
        def collect(*_: object) -> None:
            shell.events.unregister(event, collect)
            if reference() is not None:
                gc.collect()

        shell.events.register(event, collect)

    once("post_execute")
    once("post_run_cell")
