"""A picture beside a displayed widget, for whoever opens the notebook where no widget can be.

A frontend takes the richest of what a cell displays: the widget where it can, else the picture.
What is displayed before its result is there is sent again once it is, by its display id, and then
never again while a page shows the widget, which draws it anew.
"""

from __future__ import annotations

import base64
import logging
import sys
import threading
import uuid
import weakref
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import Protocol, TypeAlias

from IPython.core.displayhook import DisplayHook
from IPython.core.formatters import DisplayFormatter
from IPython.display import display, publish_display_data

from ..errors import VitAttentionError
from ..export.picture import has_picture, picture_of
from ..session import Session
from .lifetime import weakly

__all__ = ["Stills"]

log = logging.getLogger(__name__)

_SHOWN = ("_picture", "_maps", "decision")
"""Traits without which there is nothing to draw."""


Bundle: TypeAlias = "tuple[Mapping[str, object], Mapping[str, object]]"
"""What a cell displays, by MIME type, and metadata."""


class Displayed(Protocol):
    """A widget that is displayed."""

    stem: str
    _view_count: int | None

    def still_bundle(self) -> Bundle | None:
        """What a cell displays of it that is running now; None once it is closed."""

    def shown_session(self) -> Session | None:
        """What it shows; None once it is closed."""


class Stills:
    """The pictures of one widget: where it is displayed, and whether a picture is there."""

    def __init__(self, widget: Displayed) -> None:
        self._widget = weakref.ref(widget)
        self._bundle: Bundle | None = None
        self._sent: dict[str, str | None] = {}
        """By display id, the picture that was sent; None where it lacks."""
        self._lock = threading.RLock()
        self._awaited = 0
        self._draw = weakly(self._draw_apart)
        self._watched: Session | None = None

    def display(self) -> None:
        """Display the widget, with a picture where its result is there.

        Raises
        ------
        NotImplementedError
            If somebody else displays it, or it is closed; IPython then asks for the usual bundle,
            or for text.
        """
        widget = self._widget()
        bundle = None if widget is None or _is_for_another() else widget.still_bundle()
        if widget is None or bundle is None:
            raise NotImplementedError
        self._bundle = bundle
        shown = uuid.uuid4().hex
        picture = _picture(widget)
        with self._lock:
            self._sent[shown] = picture
        _publish(bundle, picture, shown)
        session = widget.shown_session()
        if picture is None and session is not None and self._watched is not session:
            self._watched = session
            session.observe(self._draw, names=list(_SHOWN))
            self._draw()  # what came meanwhile

    @contextmanager
    def after(self) -> Iterator[None]:
        """Send the pictures once the body has waited for results, in the cell that waits.

        Who runs notebooks without a page takes only what comes from a cell while that runs.
        """
        self._awaited += 1
        try:
            yield
        finally:
            self._awaited -= 1
        self.refresh()

    def refresh(self) -> None:
        """Send the picture where it lacks, and one that changed where no page shows the widget."""
        with self._lock:
            self._refresh()

    def _refresh(self) -> None:
        widget = self._widget()
        if widget is None:
            return
        seen = bool(widget._view_count)
        shown = [each for each, sent in self._sent.items() if sent is None or not seen]
        picture = _picture(widget) if shown else None
        if picture is None or self._bundle is None:
            return
        for each in shown:
            if self._sent[each] != picture:
                self._sent[each] = picture
                _publish(self._bundle, picture, each, update=True)

    def _draw_apart(self, *_: object) -> None:
        """Draw in a thread of its own: the session's have other work."""
        session = self._watched
        if session is None or self._awaited or not has_picture(session):
            return
        self._watched = None
        session.unobserve(self._draw, names=list(_SHOWN))
        threading.Thread(target=self.refresh, name="still", daemon=True).start()


def _is_for_another() -> bool:
    """Whether who formats the widget puts it in its own place: an ``Output``, a display id."""
    frame: FrameType | None = sys._getframe()
    while frame is not None and frame.f_code is not DisplayFormatter.format.__code__:
        frame = frame.f_back
    asks = None if frame is None else frame.f_back
    if asks is None or asks.f_code is DisplayHook.compute_format_data.__code__:
        return False
    return asks.f_code is not display.__code__ or bool(asks.f_locals.get("transient"))


def _picture(widget: Displayed) -> str | None:
    """A PNG in base64; None until there is something to draw, and without matplotlib."""
    session = widget.shown_session()
    if session is None or not has_picture(session):
        return None
    try:
        return base64.b64encode(picture_of(session, widget.stem)).decode("ascii")
    except VitAttentionError:
        return None
    except Exception:  # the widget is there, with a picture or without
        log.exception("The picture of a widget could not be drawn")
        return None


def _publish(
    bundle: Bundle,
    picture: str | None,
    shown: str,
    update: bool = False,
) -> None:
    data, metadata = bundle
    pictures = {} if picture is None else {"image/png": picture}
    publish_display_data(
        {**data, **pictures}, dict(metadata), transient={"display_id": shown}, update=update
    )
