"""What every widget shares: its traits mirror a session's, and its messages go there."""

from __future__ import annotations

import json
import logging
import threading
import uuid
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import traitlets
from ipywidgets import Layout, widget_serialization
from numpy.typing import NDArray
from torch import nn
from traitlets import Bunch

from ..data.items import ImagesLike
from ..errors import ParameterError, VitAttentionError
from ..export import ExportedPage, to_html
from ..export.document import Theme
from ..export.run import page_bytes
from ..models import VisionTransformer
from ..models.class_names import ClassNamesLike
from ..models.images import ImageLike
from ..models.output_kind import OutputKind
from ..patterns import AttentionPatterns
from ..protocol.messages import Cancel, Request, answer, cancelled, failure, id_of, parse
from ..protocol.schema.requests import ReplyMessage
from ..session import Session
from ..session.traits import RESULTS, SELECTIONS, ResultTraits, Selections, SelectionTraits
from ..support.progress import Progress
from ..targets.user_target import TargetLike
from .answers import nothing, work_of
from .bundle import Bundle, bundle_of, send_more
from .in_panel import pane_of
from .lifetime import ReachableWidget, weakly
from .still import Stills

if TYPE_CHECKING:
    from typing_extensions import Unpack


__all__ = ["SessionWidget", "WidgetOptions"]

log = logging.getLogger(__name__)

_SENT_AGAIN: dict[str, Callable[[SessionWidget], list[str]]] = {
    "alive": lambda _: ["_version"],
    "all_traits": lambda widget: [*SELECTIONS, *RESULTS, *widget.own_values()],
}
"""Traits that are sent before a request is answered."""


@dataclass(frozen=True)
class _Taking:
    """A change from the browser, to which it is not sent back.

    On a slow connection it would undo there what a person did since.
    """

    thread: int
    name: str
    sent: Mapping[str, object]

    def has(self, name: str, value: object) -> bool:
        if self.thread != threading.get_ident():
            return False
        return name == self.name or (name in self.sent and _as_sent(value) == self.sent[name])


def _as_sent(value: object) -> object:
    """A selection as it comes from the browser, with lists for tuples."""
    return json.loads(json.dumps(value))


class WidgetOptions(Selections, total=False):
    """What every widget takes by name only."""

    session: Session | None
    image_set: ImagesLike | None
    patterns: AttentionPatterns | None
    models: Mapping[str, nn.Module | VisionTransformer] | None
    class_names: ClassNamesLike | None
    output: OutputKind | None
    layout: Layout | Mapping[str, str] | None


class SessionWidget(SelectionTraits, ResultTraits, ReachableWidget):
    """A view of a session.

    Parameters
    ----------
    model, image : optional
        What to look at, as for :class:`~vit_attention_widget.session.Session`; both, or a session.
    target : int, str, None, or one of :mod:`~vit_attention_widget.targets`
        The class to explain; None follows the predicted class.
    session : Session, optional
        A session to share. Widgets that share one are linked.
    image_set : optional
        Further images, with labels or without, or the folder of a long run, see the session.
    patterns : AttentionPatterns, optional
        A map of attention patterns that was made of this model.
    models : dict, optional
        Other models by name, to compare with.
    class_names, output : optional
        What the classes are called, and what the model's outputs are, see the session.
    layout : ipywidgets.Layout or dict, optional
        How large the widget is and where it stands in boxes, tabs and grids, e.g.
        ``{"width": "600px"}``. By default it takes the width that it is given, and in a row of
        widgets a share of it.
    **selection
        Any of the session's selections, e.g. ``selected_layer=3``.

    Raises
    ------
    ParameterError
        If neither a model with an image nor a session is given, or an option does not exist.
    UnsupportedModelError, ImageError, TargetError
        As the session raises them.
    """

    _session: Session | None = None
    _lent = False
    """Whether somebody was given the session, and may use it without the widget."""
    _taking: _Taking | None = None
    """The thread in which the session is taking a selection from the browser, and which one."""
    stem: ClassVar[str]
    """Name of the bundle in ``static/``."""
    own: ClassVar[tuple[str, ...]] = ()
    """Traits that belong to the widget, not to the session, and that the browser may change."""

    _bundle = traitlets.Instance(Bundle, allow_none=True).tag(sync=True, **widget_serialization)
    _more = traitlets.Instance(Bundle, allow_none=True).tag(sync=True, **widget_serialization)
    _widget_id = traitlets.Unicode().tag(sync=True)

    @traitlets.default("_widget_id")
    def _new_id(self) -> str:
        return uuid.uuid4().hex

    def __init__(
        self,
        model: nn.Module | VisionTransformer | None = None,
        image: ImageLike | None = None,
        target: TargetLike = None,
        *,
        session: Session | None = None,
        image_set: ImagesLike | None = None,
        patterns: AttentionPatterns | None = None,
        models: Mapping[str, nn.Module | VisionTransformer] | None = None,
        class_names: ClassNamesLike | None = None,
        output: OutputKind | None = None,
        layout: Layout | Mapping[str, str] | None = None,
        **selection: Unpack[Selections],
    ) -> None:
        self._owns_session = session is None
        if session is None:
            if model is None or image is None:
                raise ParameterError(
                    f"{type(self).__name__} needs a model and an image, or session=..., "
                    f"e.g. {type(self).__name__}(model, 'cat.jpg')."
                )
            session = Session(
                model, image, target, image_set=image_set, patterns=patterns, models=models,
                class_names=class_names, output=output, **selection,
            )  # fmt: skip
        elif selection or any(
            argument is not None
            for argument in (
                model, image, target, image_set, patterns, models, class_names, output,
            )
        ):  # fmt: skip
            raise ParameterError(
                f"{type(self).__name__} was given a session and more: set the model, image, "
                "target and selections on the session."
            )
        self._session = session
        self._stills = Stills(self)
        self._observer = weakly(self._from_session)  # a shared session outlives its widgets
        bundle = bundle_of(type(self), self.stem)
        names = [*SELECTIONS, *RESULTS, "importance"]
        placed = {} if layout is None else {"layout": layout}
        mirrored = {name: getattr(session, name) for name in names}
        super().__init__(_bundle=bundle, **placed, **mirrored)
        session.observe(self._observer, names=names)
        self.observe(self._to_session, names=list(SELECTIONS))
        for name in names:  # what a thread found between the copy and the observer
            self._mirror(name, getattr(session, name))
        self.on_msg(self._answer)
        send_more(self)

    def _ipython_display_(self) -> None:
        self._stills.display()

    def __panel__(self) -> object:
        return pane_of(self)

    def still_bundle(self) -> tuple[dict[str, object], dict[str, object]] | None:
        """What a cell displays of the widget, but for its picture; None once it is closed."""
        return None if self.comm is None else self._repr_mimebundle_()

    def shown_session(self) -> Session | None:
        """The session that the widget shows; None once it is closed."""
        return self._session

    def __repr__(self) -> str:
        if self._session is None:
            return f"<{type(self).__name__}, closed>"
        info = self._model_info
        return f"<{type(self).__name__} of {info['name']} on {info['image_name']}>"

    @property
    def session(self) -> Session:
        """The session that this widget shows."""
        self._lent = True
        return self._open_session()

    def _open_session(self) -> Session:
        if self._session is None:
            raise ParameterError(f"This {type(self).__name__} is closed: make a new one.")
        return self._session

    @property
    def top5(self) -> list[tuple[str, float]]:
        """The five most probable classes as the model stands now, pruned heads left out."""
        return self._open_session().top5

    def pruned_model(self) -> nn.Module:
        """A smaller copy of the model without the pruned heads.

        See :func:`~vit_attention_widget.prune_heads`; it is saved by ``save_pruned``.
        """
        return self._open_session().pruned_model()

    @property
    def attributions(self) -> Mapping[str, NDArray[np.float32]]:
        """Maps by method, each [layer, row, col]."""
        return self._open_session().attributions

    def own_values(self) -> dict[str, object]:
        """Traits that the browser has, and that are of this widget alone."""
        shared = {*SELECTIONS, *RESULTS}
        ours = self.class_trait_names(sync=True)
        names = [name for name in ours if name in self.own or name.startswith("_tour")]
        return {name: getattr(self, name) for name in names if name not in shared}

    def to_html(
        self,
        path: str | Path,
        *,
        max_megabytes: float = 8.0,
        attention: bool = True,
        classes: int | str | Iterable[int | str] = (),
        theme: Theme = "auto",
        title: str | None = None,
    ) -> ExportedPage:
        """Write the widget into one HTML file that works without notebook and network.

        See :func:`~vit_attention_widget.to_html`, which takes several widgets.
        """
        return to_html(
            self, path, max_megabytes=max_megabytes, attention=attention, classes=classes,
            theme=theme, title=title,
        )  # fmt: skip

    def wait(self, timeout: float | None = None) -> bool:
        """Block until everything asked for is computed; False after ``timeout`` seconds."""
        with self._stills.after():
            return self._open_session().wait(timeout)

    def close(self) -> None:
        """Take the widget away; a session that it made itself ends too, with its threads."""
        session = self._leave()
        if session is not None and self._owns_session:
            session.close()
        super().close()

    def __del__(self) -> None:
        session = self._leave()
        if session is not None and self._owns_session and not self._lent:
            session.close(timeout=0)  # garbage is collected anywhere, and must not block there
        with suppress(Exception):  # the page it was shown on may be no more
            super().close()

    def _leave(self) -> Session | None:
        """Show the session no more."""
        session, self._session = self._session, None
        if session is not None:
            session.unobserve(self._observer, names=[*SELECTIONS, *RESULTS, "importance"])
        return session

    def set_state(self, sync_data: Mapping[str, object]) -> None:
        """Take what the browser changed; what is not allowed is set back there."""
        writable = (*SELECTIONS, *self.own, "_view_count")
        allowed = {name: sync_data[name] for name in writable if name in sync_data}
        refused = [name for name in sync_data if name in RESULTS]
        for name in allowed:
            try:
                super().set_state({name: self._take(name, allowed)})
            except (VitAttentionError, traitlets.TraitError):
                refused.append(name)
            except Exception:  # the browser must not go on with what the session has not
                log.exception("%s could not be set from the browser", name)
                refused.append(name)
        if refused:
            self.send_state(refused)

    def get_state(
        self, key: str | Iterable[str] | None = None, drop_defaults: bool = False
    ) -> dict[str, object]:
        """All that is synchronized; rows of the selected token too, as no browser may ask again."""
        if key is None and self._session is not None:
            self._session.attention.refresh_rows()
        state: dict[str, object] = super().get_state(key, drop_defaults)
        return state

    def _take(self, name: str, sent: Mapping[str, object]) -> object:
        """Set in the session what the browser changed; what the session, which checks it, took."""
        session = self._session
        if session is None or name not in SELECTIONS:
            return sent[name]
        self._taking = _Taking(threading.get_ident(), name, sent)
        try:
            session.set_trait(name, sent[name])
        finally:
            self._taking = None
        return _as_sent(getattr(session, name))

    @traitlets.validate(*SELECTIONS)
    def _check(self, proposal: Bunch) -> object:
        """What the session has is right; anything else is checked by the session."""
        session, name, value = self._session, proposal["trait"].name, proposal["value"]
        if session is None or getattr(session, name) is value:
            return value
        return session.traits()[name]._validate(session, value)

    def _to_session(self, change: Bunch) -> None:
        session, name = self._session, change["name"]
        if session is not None and getattr(session, name) != change["new"]:
            session.set_trait(name, change["new"])

    def _from_session(self, change: Bunch) -> None:
        if self._taking is None or not self._taking.has(change["name"], change["new"]):
            self._mirror(change["name"], change["new"])

    def _mirror(self, name: str, value: object) -> None:
        same = name != "importance" and getattr(self, name) == value
        if self._session is not None and not same:
            self.set_trait(name, value)

    def _answer(self, _: object, content: object, buffers: object) -> None:
        session = self._session
        if session is None:
            return
        try:
            message = parse(content, buffers)
            if isinstance(message, Cancel):
                session.forget(self._slot(message.id))
                return
            work = work_of(session, message)
        except Exception as error:  # whatever it is, who asked waits for an answer
            if not isinstance(error, VitAttentionError):
                log.exception("A message from the browser could not be answered")
            self._reply(failure(id_of(content), error))
            return
        version = session._version
        if message.method == "page":
            self._answer_with_page(session, message)
            return
        if message.method in _SENT_AGAIN:
            self.send_state(_SENT_AGAIN[message.method](self))
        if work is nothing:  # at once: a lane may be busy for minutes
            self._reply(answer(message, {"version": version}))
            return
        session.ask(
            self._slot(message.id),
            work,
            lambda buffer: self._reply(answer(message, {"version": version}), buffer),
            lambda error: self._reply(failure(message.id, error)),
            lambda: self._reply(cancelled(message)),
        )

    def _answer_with_page(self, session: Session, message: Request) -> None:
        """The next one takes the place of one that is being written."""

        def work(progress: Progress) -> bytes:
            return page_bytes([self], progress=progress)[0]

        def failed(error: BaseException) -> None:
            log.warning("The page could not be built", exc_info=error)
            self._reply(failure(message.id, error))

        session.ask_for_page(
            self._slot("page"),
            work,
            lambda page: self._reply(answer(message, {"version": self._version}), page),
            failed,
            lambda: self._reply(cancelled(message)),
        )

    def _slot(self, request_id: str) -> str:
        """Where a request waits: widgets of one session may use the same ids."""
        return f"{self._widget_id} {request_id}"

    def _reply(self, content: ReplyMessage, buffer: bytes = b"") -> None:
        if self._session is not None:
            self.send(content, [buffer] if buffer else None)
