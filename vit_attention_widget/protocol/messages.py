"""Requests of the browser, and the kernel's replies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from ..errors import ProtocolError
from ..support.words import sendable, shorten, shown
from .schema.requests import AnswerMessage, AnswerMeta, CancelledMessage, FailureMessage

__all__ = ["Cancel", "Request", "answer", "cancelled", "failure", "id_of", "parse"]


_MOST_LETTERS = 200

Choice = TypeVar("Choice", bound=str)


@dataclass(frozen=True)
class Request:
    """A question from the browser, which gets exactly one answer."""

    id: str
    method: str
    params: Mapping[str, object] = field(default_factory=dict)
    buffer: bytes = b""
    """What came beside it: the first of the message's buffers."""

    def integer(self, name: str, low: int, high: int) -> int:
        """A whole number from ``low`` to ``high`` among the parameters."""
        value = self.params.get(name)
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise ProtocolError(
                f"{self.method} got {name} = {shown(value)}; a whole number from {low} to {high} "
                "was expected."
            )
        return value

    def number(self, name: str) -> float:
        """A finite number among the parameters."""
        value = self.params.get(name)
        if not isinstance(value, int | float) or isinstance(value, bool) or abs(value) > 1e300:
            raise ProtocolError(
                f"{self.method} got {name} = {shown(value)}; a number was expected."
            )
        return float(value)

    def text(self, name: str) -> str:
        """A text among the parameters, cut where it is long."""
        value = self.params.get(name)
        if not isinstance(value, str):
            raise ProtocolError(f"{self.method} got {name} = {shown(value)}; a text was expected.")
        return sendable(value[:_MOST_LETTERS])

    def choice(self, name: str, choices: tuple[Choice, ...]) -> Choice:
        """One of some words among the parameters."""
        value = self.params.get(name)
        if not isinstance(value, str) or value not in choices:
            raise ProtocolError(
                f"{self.method} got {name} = {shown(value)}; one of {', '.join(choices)} was "
                "expected."
            )
        return choices[choices.index(value)]


@dataclass(frozen=True)
class Cancel:
    """The browser no longer wants the answer to a request."""

    id: str


def parse(content: object, buffers: object = ()) -> Request | Cancel:
    """Read a custom message, and the bytes that came with it.

    Raises
    ------
    ProtocolError
        If it is neither ``{id, method, params}`` nor ``{cancel: id}``.
    """
    if isinstance(content, Mapping):
        wanted, name = content.get("cancel"), id_of(content)
        if isinstance(wanted, str):
            return Cancel(wanted)
        method, params = content.get("method"), content.get("params")
        if name is not None and isinstance(method, str) and isinstance(params, Mapping):
            return Request(name, method, params, _first(buffers))
    raise ProtocolError(
        f"A message {shown(content)} came from the browser; {{id, method, params}} or "
        f"{{cancel: id}} was expected, with an id of at most {_MOST_LETTERS} letters."
    )


def _first(buffers: object) -> bytes:
    """The first of a message's buffers; empty without any."""
    first = buffers[0] if isinstance(buffers, list | tuple) and buffers else b""
    return bytes(first) if isinstance(first, bytes | bytearray | memoryview) else b""


def id_of(content: object) -> str | None:
    """The id by which a message is answered; None if it has none that can be sent back."""
    name = content.get("id") if isinstance(content, Mapping) else None
    sound = isinstance(name, str) and len(name) <= _MOST_LETTERS and name.isprintable()
    return name if sound else None


def answer(request: Request, meta: AnswerMeta) -> AnswerMessage:
    """The reply to a request that was answered; buffers travel beside it."""
    return {"id": request.id, "ok": True, "meta": meta}


def failure(request_id: str | None, error: BaseException) -> FailureMessage:
    """The reply to a request that could not be answered."""
    try:
        message = sendable(shorten(str(error), 1000))
    except Exception:
        message = ""
    return {"id": request_id, "error": {"message": message or type(error).__name__}}


def cancelled(request: Request) -> CancelledMessage:
    """The reply to a request that was cancelled."""
    return {"id": request.id, "cancelled": True}
