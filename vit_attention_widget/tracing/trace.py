"""A recorded forward pass and its gradients: attention of any layer, head and query on request.

Attention matrices are never stored: ``A = softmax(q k^T * scale + bias)`` and its gradient
``dy/dA = (dy/dO) v^T`` are formed when asked for, so memory grows linearly with the number of
tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, suppress
from typing import SupportsIndex, TypeAlias

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ..capture.calls import AttentionCall
from ..errors import CaptureError
from ..models import VisionTransformer
from ..models.head_index import Heads, head_index, layer_index
from ..models.output_kind import probabilities
from ..models.token_layout import TokenLayout
from ..results.html import block, table
from ..targets import Target
from ..targets.user_target import TargetLike, resolve
from .block_rows import BlockRows
from .forward_pass import ForwardPass
from .gradients import TokensBesideHeads, output_gradients, token_gradients, tokens_are_small
from .layer_record import LayerRecord
from .readout import Readout

__all__ = ["Selection", "Trace"]

Selection: TypeAlias = (
    SupportsIndex | slice | Sequence[SupportsIndex] | NDArray[np.integer] | Tensor | None
)
"""One index, several, a slice, or None for all."""

_LIKELY = 5
"""So many classes of each image are shown in a notebook."""


class Trace:
    """A recorded forward pass, and the target with respect to which gradients are taken.

    Made by :func:`~vit_attention_widget.trace`. Axes are in the order [batch, layer, head, query,
    key]; layers may be counted from the end (-1 is the last).

    Attention stays what it was when the model was run. What needs the model itself (gradients,
    other heads masked, readouts of other layers) raises
    :class:`~vit_attention_widget.errors.StaleTraceError` once the model has changed, rather than
    join old values with new weights.

    Attributes
    ----------
    target : Target
        The scalar per image that gradients explain.
    forward_pass : ForwardPass
        The record itself. Traces that differ only in their target share it.
    readout : Readout
        How the tokens after the last block become logits.
    block_rows : BlockRows
        Recomputes parts of blocks for a few tokens.
    """

    def __init__(
        self,
        forward_pass: ForwardPass,
        target: Target,
        *,
        block_rows: BlockRows | None = None,
        readout: Readout | None = None,
    ) -> None:
        self.forward_pass = forward_pass
        self.target = target
        self.block_rows = block_rows or BlockRows(forward_pass)
        self.readout = readout or Readout(forward_pass)
        self._output_gradients: list[Tensor] | None = None
        self._beside_them: TokensBesideHeads | None = None
        self._token_gradients: list[tuple[Tensor, Tensor | None]] | None = None

    def __repr__(self) -> str:
        return (
            f"<Trace of {self.model.name}: {self.batch_size} image(s), {self.num_layers} layers, "
            f"{self.tokens.rows} x {self.tokens.cols} patches, target {self.target.name!r}, "
            f"images {self.preparation}>"
        )

    def _repr_html_(self) -> str:
        """The likeliest classes of each image, as a notebook shows them."""
        vit, rows = self.model, list[tuple[int, str, float]]()
        if vit.has_classes:
            for image, said in enumerate(self.probabilities.detach().cpu()):
                best = said.topk(min(_LIKELY, len(said)))
                pairs = zip(best.indices.tolist(), best.values.tolist(), strict=True)
                rows += [(image, vit.class_name(index), value) for index, value in pairs]
        names = ("image", "class", "value" if vit.output == "value" else "probability")
        columns = dict(zip(names, zip(*rows, strict=True), strict=True)) if rows else {}
        return block(repr(self), table(columns) if columns else "")

    @property
    def model(self) -> VisionTransformer:
        """The description of the model; ``.model.model`` is the module itself."""
        return self.forward_pass.model

    @property
    def preparation(self) -> str:
        """How the images became model input, and on what ground."""
        return self.forward_pass.preparation

    @property
    def inputs(self) -> Tensor:
        """Model inputs, [batch, 3, height, width]."""
        return self.forward_pass.inputs

    @property
    def logits(self) -> Tensor:
        """Logits, [batch, class], without autograd graph."""
        return self.forward_pass.logits.detach()

    @property
    def probabilities(self) -> Tensor:
        """What the model says of each class, [batch, class], in at least float32.

        By its kind of output: the softmax or the sigmoid of the logits; for a model of values or
        features these themselves.
        """
        return probabilities(self.logits, self.model.output)

    @property
    def tokens(self) -> TokenLayout:
        """The layout of the tokens: prefix tokens and patch grid."""
        return self.forward_pass.tokens

    @property
    def layers(self) -> list[LayerRecord]:
        """The record of each layer, from first to last."""
        return self.forward_pass.layers

    @property
    def pool(self) -> AttentionCall | None:
        """The attention call after all blocks, with which some models pool their tokens."""
        return self.forward_pass.pools[-1] if self.forward_pass.pools else None

    @property
    def head_mask(self) -> Heads:
        """Masked heads, ``{layer: (heads)}``."""
        return self.forward_pass.head_mask

    @property
    def batch_size(self) -> int:
        """Number of images."""
        return self.forward_pass.batch_size

    @property
    def num_layers(self) -> int:
        """Number of blocks."""
        return self.forward_pass.num_layers

    @property
    def num_heads(self) -> tuple[int, ...]:
        """Number of heads of each layer."""
        return tuple(record.q.shape[1] for record in self.layers)

    @property
    def score(self) -> Tensor:
        """Value of the target, [batch]; part of the autograd graph if one was kept."""
        return self.target.score(self.forward_pass.logits)

    @property
    def has_gradients(self) -> bool:
        """Whether the autograd graph was kept."""
        return self.forward_pass.has_gradients

    def retarget(self, target: TargetLike) -> Trace:
        """The same forward pass with another target, at the cost of one more backward pass.

        ``target`` is as for :func:`~vit_attention_widget.trace`.

        Raises
        ------
        TargetError
            If the model has no such target.
        """
        return Trace(
            self.forward_pass,
            resolve(target, self.logits, self.model),
            block_rows=self.block_rows,
            readout=self.readout,
        )

    def rerunning(self) -> AbstractContextManager[None]:
        """Run parts of the model again, in the same modes (autocast, evaluation) as before."""
        return self.forward_pass.rerunning()

    def attention(
        self,
        layer: SupportsIndex,
        head: Selection = None,
        query: Selection = None,
    ) -> Tensor:
        """Attention after the softmax, in [0, 1]; rows sum to 1.

        The row of a token that attends to nothing, because the model's mask hides every key from
        it, is 0, as its head outputs are.

        Parameters
        ----------
        layer : int
            Negative layers count from the end.
        head : int, slice or sequence of int, optional
            All heads by default. An int drops the head axis.
        query : int, slice or sequence of int, optional
            Query tokens, all by default. An int drops the query axis.

        Returns
        -------
        Tensor
            [batch, head, query, key] without the axes dropped, in at least float32.

        Raises
        ------
        ParameterError
            If the layer or a head does not exist.
        TokenLayoutError
            If a query token does not exist.
        """
        record, heads, queries = self._select(layer, head, query)
        return _drop_axes(record.attention(heads, queries), head, query)

    def attention_gradient(
        self,
        layer: SupportsIndex,
        head: Selection = None,
        query: Selection = None,
    ) -> Tensor:
        """Gradient of the target with respect to the attention after the softmax.

        Parameters and shape are those of :meth:`attention`.

        Raises
        ------
        ParameterError
            If the layer or a head does not exist.
        TokenLayoutError
            If a query token does not exist.
        CaptureError
            If the trace was recorded without gradients.
        """
        record, heads, queries = self._select(layer, head, query)
        gradient = self.output_gradient(layer)[:, heads][:, :, queries]
        return _drop_axes(gradient @ record.v[:, heads].detach().transpose(-2, -1), head, query)

    def attention_chunks(
        self, layer: SupportsIndex, size: int | None = None
    ) -> Iterator[tuple[slice, Tensor]]:
        """Attention of all heads of a layer, a few query rows at a time.

        Parameters
        ----------
        layer : int
        size : int, optional
            Query rows per chunk; by default as many as take about 64 MB in float32.

        Yields
        ------
        rows : slice
            The queries of this chunk.
        attention : Tensor
            [batch, head, row, key].
        """
        record = self.layers[layer_index(self.model, layer)]
        count = record.q.shape[2]
        size = record.rows_at_once if size is None else size
        for start in range(0, count, size):
            rows = slice(start, min(start + size, count))
            yield rows, self.attention(layer, query=rows)

    def output_gradient(self, layer: SupportsIndex) -> Tensor:
        """Gradient of the target with respect to a layer's head outputs.

        The first call runs a backward pass, which yields the gradients of all layers.

        Returns
        -------
        Tensor
            [batch, head, token, head_dim]; 0 for masked heads.

        Raises
        ------
        CaptureError
            If the trace was recorded without gradients.
        StaleTraceError
            If the model has changed since it was traced.
        """
        layer = layer_index(self.model, layer)
        if self._output_gradients is None:
            self._output_gradients, self._beside_them = output_gradients(
                self.forward_pass, self.block_rows, self.readout, self.target
            )
        return self._output_gradients[layer]

    def token_gradient(self, layer: SupportsIndex) -> Tensor:
        """Gradient of the target with respect to the tokens after a layer, [batch, token, dim].

        The first call runs a backward pass, which yields the gradients of all layers.

        Raises
        ------
        CaptureError
            If the trace was recorded without gradients, or the logits do not depend on these
            tokens.
        """
        layer = layer_index(self.model, layer)
        return self._by_tokens()[layer][0]

    def normed_gradient(self, layer: SupportsIndex) -> Tensor | None:
        """Gradient of the target with respect to the output of a block's first norm.

        It comes with :meth:`token_gradient`.

        Returns
        -------
        Tensor or None
            [batch, token, dim]. None if the block has no norm before its attention.

        Raises
        ------
        CaptureError
            As for :meth:`token_gradient`.
        """
        return self._by_tokens()[layer_index(self.model, layer)][1]

    def _by_tokens(self) -> list[tuple[Tensor, Tensor | None]]:
        if self._token_gradients is None:
            if tokens_are_small(self.forward_pass):
                with suppress(CaptureError):  # of the heads alone
                    self.output_gradient(0)  # first: numbers do not depend on what was asked before
            self._token_gradients = token_gradients(
                self.forward_pass, self.target, self._output_gradients, self._beside_them
            )
            self._beside_them = None
        return self._token_gradients

    def _select(
        self, layer: SupportsIndex, head: Selection, query: Selection
    ) -> tuple[LayerRecord, slice | list[int], slice | list[int]]:
        """A layer's record, with heads and queries as PyTorch indexes them."""
        index = layer_index(self.model, layer)
        record = self.layers[index]
        heads = _each(head, lambda h: head_index(self.model, index, h), record.v.shape[1])
        return record, heads, _each(query, self.tokens.check, self.tokens.num_tokens)


def _drop_axes(values: Tensor, head: Selection, query: Selection) -> Tensor:
    """Values [batch, head, query, key] without the axes of which one index was selected."""
    if _is_one(query):
        values = values[:, :, 0]
    return values[:, 0] if _is_one(head) else values


def _is_one(selection: Selection) -> bool:
    """Whether a selection is a single index."""
    if isinstance(selection, np.ndarray | Tensor):
        return selection.ndim == 0
    return not (selection is None or isinstance(selection, slice | Sequence))


def _each(
    selection: Selection, check: Callable[[SupportsIndex], int], count: int
) -> slice | list[int]:
    """A selection of ``count`` as a slice that counts from 0, or as a list of checked indices."""
    if selection is None:
        return slice(None)
    if isinstance(selection, slice):
        start, stop, step = selection.indices(count)
        return slice(start, stop, step) if step > 0 else list(range(start, stop, step))
    if isinstance(selection, np.ndarray | Tensor):
        selection = selection.tolist()
    if isinstance(selection, Sequence) and not isinstance(selection, str):
        return [check(index) for index in selection]
    return [check(selection)]
