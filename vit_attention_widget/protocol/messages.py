"""Requests of the browser, and the kernel's replies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from ..errors import ProtocolError
from .schema.requests import AnswerMessage, AnswerMeta, CancelledMessage, FailureMessage

__all__ = ["Cancel", "Request", "answer", "cancelled", "failure", "parse"]


Choice = TypeVar("Choice", bound=str)


@dataclass(frozen=True)
class Request:
    """A question from the browser, which gets exactly one answer."""

    id: str
    method: str
    params: Mapping[str, Any] = field(default_factory=dict)

    def integer(self, name: str, low: int, high: int) -> int:
        """A whole number from ``low`` to ``high`` among the parameters."""
        value = self.params.get(name)
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise ProtocolError(
                f"{self.method} got {name} = {value!r}; a whole number from {low} to {high} "
                "was expected."
            )
        return value

    def choice(self, name: str, choices: tuple[Choice, ...]) -> Choice:
        """One of some words among the parameters."""
        value = self.params.get(name)
        if value not in choices:
            raise ProtocolError(
                f"{self.method} got {name} = {value!r}; one of {', '.join(choices)} was expected."
            )
        return choices[choices.index(value)]


@dataclass(frozen=True)
class Cancel:
    """The browser no longer wants the answer to a request."""

    id: str


def parse(content: Any) -> Request | Cancel:
    """Read a custom message.

    Raises
    ------
    ProtocolError
        If it is neither ``{id, method, params}`` nor ``{cancel: id}``.
    """
    if isinstance(content, Mapping):
        if isinstance(content.get("cancel"), str):
            return Cancel(content["cancel"])
        name, method, params = (content.get(key) for key in ("id", "method", "params"))
        if isinstance(name, str) and isinstance(method, str) and isinstance(params, Mapping):
            return Request(name, method, params)
    raise ProtocolError(
        f"A message {str(content)[:80]!r} came from the browser; "
        "{id, method, params} or {cancel: id} was expected."
    )


def answer(request: Request, meta: AnswerMeta) -> AnswerMessage:
    """The reply to a request that was answered; buffers travel beside it."""
    return {"id": request.id, "ok": True, "meta": meta}


def failure(request_id: str | None, error: BaseException) -> FailureMessage:
    """The reply to a request that could not be answered."""
    return {"id": request_id, "error": {"message": str(error) or type(error).__name__}}


def cancelled(request: Request) -> CancelledMessage:
    """The reply to a request that was cancelled."""
    return {"id": request.id, "cancelled": True}
