"""Attention of the shown trace, in the form in which the browser takes it."""

from __future__ import annotations

from ..protocol.schema.selections import Direction
from ..support.progress import Progress
from . import payloads
from .context import Context

__all__ = ["AttentionPayloads"]


class AttentionPayloads:
    """Rows of the selected token, which follow the selection, and whole layers on request."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def layer(self, layer: int) -> bytes:
        """Attention of every head of a layer."""
        return payloads.attention_layer(self._context.shown(), layer)

    def rows(self, token: int, direction: Direction) -> bytes:
        """Attention of a token in every head."""
        return payloads.attention_rows(self._context.shown(), token, direction)

    def publish_rows(self) -> None:
        """Send the rows of the selected token."""
        context, traits = self._context, self._context.traits

        def work(_: Progress) -> bytes:
            return self.rows(traits.selected_token, traits.direction)

        def show(rows: bytes) -> None:
            traits._attention_rows = rows

        context.do(context.lanes.quick, "rows", "", work, show)
