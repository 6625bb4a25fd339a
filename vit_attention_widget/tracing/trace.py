"""One forward pass of a Vision Transformer, kept as q, k, v and head outputs of every layer.

Attention rows and their gradients come on demand, so memory grows linearly with the number of
tokens: ``A = softmax(q k^T * scale + bias)`` and ``dy/dA = (dy/dO) v^T``, exactly.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..capture.function_mode import AttentionCall
from ..models import VisionTransformer
from ..models.head_index import Heads, head_index, layer_index
from ..models.token_layout import TokenLayout
from ..targets import Target
from ..targets.user_target import resolve
from .block_rows import BlockRows
from .forward_pass import ForwardPass
from .gradients import output_gradients, token_gradients
from .layer_record import LayerRecord
from .readout import Readout

__all__ = ["Trace"]


class Trace:
    """A forward pass and the target that gradients explain.

    Axis order: [batch, layer, head, query, key].

    Attributes
    ----------
    forward_pass : ForwardPass
        What was recorded. Traces that differ only in their target share it.
    target : Target
        What gradients explain.
    readout : Readout
        How the tokens after the last block become logits.
    block_rows : BlockRows
        The blocks, for a few of their tokens.
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
        self._token_gradients: list[tuple[Tensor, Tensor | None]] | None = None

    def __repr__(self) -> str:
        return (
            f"<Trace of {self.model.name}: {self.batch_size} image(s), {self.num_layers} layers, "
            f"{self.tokens.rows} x {self.tokens.cols} patches, target {self.target.name!r}>"
        )

    @property
    def model(self) -> VisionTransformer:
        """The description of the model; ``.model.model`` is the module itself."""
        return self.forward_pass.model

    @property
    def inputs(self) -> Tensor:
        """Model inputs, [batch, 3, height, width]."""
        return self.forward_pass.inputs

    @property
    def logits(self) -> Tensor:
        """[batch, class]."""
        return self.forward_pass.logits.detach()

    @property
    def probabilities(self) -> Tensor:
        """Softmax of the logits, [batch, class], in float32 at least."""
        logits = self.logits
        return (logits if logits.dtype == torch.float64 else logits.float()).softmax(-1)

    @property
    def tokens(self) -> TokenLayout:
        """Where each token lies."""
        return self.forward_pass.tokens

    @property
    def layers(self) -> list[LayerRecord]:
        """What each block computed, from first to last."""
        return self.forward_pass.layers

    @property
    def pool(self) -> AttentionCall | None:
        """The attention outside all blocks, by which some models pool."""
        return self.forward_pass.pool

    @property
    def head_mask(self) -> Heads:
        """Heads that were masked, ``{layer: (heads)}``."""
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
        """Heads of each layer."""
        return tuple(record.q.shape[1] for record in self.layers)

    @property
    def score(self) -> Tensor:
        """What gradients explain, [batch]; part of the autograd graph if there is one."""
        return self.target.score(self.forward_pass.logits)

    @property
    def has_gradients(self) -> bool:
        """Whether what a backward pass needs was kept."""
        return self.forward_pass.logits.requires_grad

    def retarget(self, target: Any) -> Trace:
        """The same trace with another target: one more backward pass, no forward pass."""
        return Trace(
            self.forward_pass,
            resolve(target, self.logits, self.model),
            block_rows=self.block_rows,
            readout=self.readout,
        )

    def rerunning(self) -> AbstractContextManager[None]:
        """Run parts of the model again in the body, in the modes of the recorded pass."""
        return self.forward_pass.rerunning()

    def attention(
        self,
        layer: int,
        head: int | slice | None = None,
        query: int | slice | Sequence[int] | None = None,
    ) -> Tensor:
        """Attention after the softmax; rows sum to 1.

        Parameters
        ----------
        layer : int
        head : int or slice, optional
            An int drops the head axis.
        query : int, slice or list of int, optional
            Tokens that look; an int drops the query axis.

        Returns
        -------
        Tensor
            [batch, head, query, key], without the axes given as int.

        Raises
        ------
        ParameterError, TokenLayoutError
            If the layer, head or token does not exist.
        """
        record, heads, queries = self._select(layer, head, query)
        return _drop(record.attention(heads, queries), head, query)

    def attention_gradient(
        self,
        layer: int,
        head: int | slice | None = None,
        query: int | slice | Sequence[int] | None = None,
    ) -> Tensor:
        """Gradient of the target by the attention, with the shapes of :meth:`attention`."""
        record, heads, queries = self._select(layer, head, query)
        gradient = self.output_gradient(layer)[:, heads][:, :, queries]
        return _drop(gradient @ record.v[:, heads].detach().transpose(-2, -1), head, query)

    def attention_chunks(
        self, layer: int, size: int | None = None
    ) -> Iterator[tuple[slice, Tensor]]:
        """Attention of all heads, a few query rows at a time: (rows, [batch, head, row, key]).

        The default size keeps one chunk near 64 MB in float32.
        """
        record = self.layers[layer_index(self.model, layer)]
        count = record.q.shape[2]
        size = record.rows_at_once if size is None else size
        for start in range(0, count, size):
            rows = slice(start, min(start + size, count))
            yield rows, self.attention(layer, query=rows)

    def output_gradient(self, layer: int) -> Tensor:
        """Gradient of the target by the head outputs of a layer, [batch, head, token, head_dim].

        By what the heads compute, before any is masked: 0 for a masked head, which moves nothing.
        The first call runs the backward pass, which serves all layers.
        """
        layer = layer_index(self.model, layer)
        if self._output_gradients is None:
            self._output_gradients = output_gradients(
                self.forward_pass, self.block_rows, self.readout, self.target
            )
        return self._output_gradients[layer]

    def token_gradient(self, layer: int) -> Tensor:
        """Gradient of the target by the tokens after a layer, [batch, token, dim].

        The first call runs a backward pass of its own, which serves all layers.
        """
        layer = layer_index(self.model, layer)
        return self._by_tokens()[layer][0]

    def normed_gradient(self, layer: int) -> Tensor | None:
        """Gradient of the target by what a block's first norm made of its input.

        [batch, token, dim]; None where no such norm was seen, and in the first block, whose input
        does not depend on any attention. The pass is that of :meth:`token_gradient`.
        """
        return self._by_tokens()[layer_index(self.model, layer)][1]

    def _by_tokens(self) -> list[tuple[Tensor, Tensor | None]]:
        if self._token_gradients is None:
            self._token_gradients = token_gradients(self.forward_pass, self.target)
        return self._token_gradients

    def _select(
        self, layer: Any, head: Any, query: Any
    ) -> tuple[LayerRecord, slice | list[int], slice | list[int]]:
        layer = layer_index(self.model, layer)
        if head is None:
            head = slice(None)
        elif not isinstance(head, slice):
            head = [head_index(self.model, layer, h) for h in _listed(head)]
        if query is None:
            query = slice(None)
        elif not isinstance(query, slice):
            query = [self.tokens.check(token) for token in _listed(query)]
        return self.layers[layer], head, query


def _drop(values: Tensor, head: Any, query: Any) -> Tensor:
    if _is_one(query):
        values = values[:, :, 0]
    return values[:, 0] if _is_one(head) else values


def _is_one(choice: Any) -> bool:
    """Whether a selection is one index, whose axis is dropped."""
    return not (choice is None or isinstance(choice, slice | Sequence) or np.ndim(choice))


def _listed(choice: Any) -> list[Any]:
    return [choice] if _is_one(choice) or isinstance(choice, str) else list(choice)
