"""Attention of the shown trace, in the form in which the browser takes it."""

from __future__ import annotations

from ..errors import ProtocolError
from ..protocol.schema.selections import Direction
from ..protocol.tensors import metadata_of
from ..support.progress import Progress
from . import payloads
from .context import Context

__all__ = ["MOST_STREAMED_TOKENS", "AttentionPayloads"]

MOST_STREAMED_TOKENS = 600
"""Above this length whole matrices are too heavy for the browser, which does not ask for them."""

_ROWS_AT_ONCE = 600_000
"""So many bytes of rows are sent at once: of a large model those of the selected layer come first,
and the browser asks for the others."""


class AttentionPayloads:
    """Rows of the selected token and whole layers, each on request.

    Rows come by themselves with a new trace alone: what a browser holds is not computed again.
    """

    def __init__(self, context: Context) -> None:
        self._context = context

    def layer(self, layer: int) -> bytes:
        """Attention of every head of a layer; raises :class:`ProtocolError` if it is too large."""
        trace = self._context.shown()
        if trace.tokens.num_tokens > MOST_STREAMED_TOKENS:
            raise ProtocolError(
                f"The attention of {trace.tokens.num_tokens:,} tokens is not sent whole, only of "
                f"up to {MOST_STREAMED_TOKENS}: select a token to get its rows."
            )
        return payloads.attention_layer(trace, layer)

    def rows(self, token: int, direction: Direction) -> bytes:
        """Attention of a token in every head."""
        return payloads.attention_rows(self._context.shown(), token, direction)

    def rows_with(self, layer: int, token: int, direction: Direction) -> bytes:
        """Those of a layer, and of as many layers beside it as are sent at once."""
        trace = self._context.shown()
        at_once = max(1, _ROWS_AT_ONCE // (max(trace.num_heads) * trace.tokens.num_tokens))
        first = layer // at_once * at_once
        layers = range(first, min(trace.num_layers, first + at_once))
        return payloads.attention_rows(trace, token, direction, layers)

    def publish_rows(self, token: int, direction: Direction) -> None:
        """Send the rows of a token."""
        context, traits = self._context, self._context.traits

        def work(_: Progress) -> bytes:
            return self.rows_with(traits.selected_layer, token, direction)

        def show(rows: bytes) -> None:
            traits._attention_rows = rows

        context.do(context.lanes.quick, "rows", "", work, show)

    def refresh_rows(self) -> None:
        """Make the rows those of the selected token now, for whoever reads all traits at once."""
        context, traits = self._context, self._context.traits
        with context.lock:
            token, direction = traits.selected_token, traits.direction
            wanted = {"token": str(token), "direction": direction}
            if traits._attention_rows and not wanted.items() <= self._metadata.items():
                traits._attention_rows = self.rows_with(traits.selected_layer, token, direction)

    @property
    def _metadata(self) -> dict[str, str]:
        return metadata_of(self._context.traits._attention_rows)
