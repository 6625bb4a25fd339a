"""One forward pass of a Vision Transformer, kept as q, k, v and head outputs of every layer.

Attention rows and their gradients come on demand, so memory grows linearly with the number of
tokens: ``A = softmax(q k^T * scale + bias)`` and ``dy/dA = (dy/dO) v^T``, exactly.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..capture.function_mode import AttentionCall
from ..models import VisionTransformer
from ..models.eval_mode import evaluating
from ..models.head_index import Heads, head_index, layer_index
from ..models.token_layout import TokenLayout
from ..targets import Target, resolve
from .gradients import output_gradients, token_gradients
from .layer_record import LayerRecord

__all__ = ["LayerRecord", "Trace"]


class Trace:
    """What :func:`~.run.trace` recorded. Axis order: [batch, layer, head, query, key].

    Attributes
    ----------
    model : VisionTransformer
        The description of the model; ``.model.model`` is the module itself.
    inputs : Tensor
        Model inputs, [batch, 3, height, width].
    logits : Tensor
        [batch, class].
    tokens : TokenLayout
        Where each token lies.
    layers : list of LayerRecord
    target : Target
        What gradients explain.
    head_mask : dict
        Heads that were masked, ``{layer: (heads)}``.
    """

    def __init__(
        self,
        model: VisionTransformer,
        inputs: Tensor,
        logits: Tensor,
        tokens: TokenLayout,
        layers: list[LayerRecord],
        pool: AttentionCall | None,
        target: Target,
        head_mask: Heads,
    ) -> None:
        self.model = model
        self.inputs = inputs
        self._logits = logits
        self.tokens = tokens
        self.layers = layers
        self.pool = pool
        self.target = target
        self.head_mask = head_mask
        self.known_blocks: dict[tuple[type[nn.Module], ...], bool] = {}  # see readout.finishes_rows
        self.known_attention: dict[int, bool] = {}  # see readout.attend_rows
        self.readout_checked = False  # see readout.check_readout
        self._gradients: list[Tensor] | None = None
        self._token_gradients: list[tuple[Tensor, Tensor | None]] | None = None
        device = inputs.device.type
        self._autocast = (
            torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else None
        )

    def __repr__(self) -> str:
        return (
            f"<Trace of {self.model.name}: {self.batch_size} image(s), {self.num_layers} layers, "
            f"{self.tokens.rows} x {self.tokens.cols} patches, target {self.target.name!r}>"
        )

    @property
    def batch_size(self) -> int:
        """Number of images."""
        return int(self._logits.shape[0])

    @property
    def num_layers(self) -> int:
        """Number of blocks."""
        return len(self.layers)

    @property
    def num_heads(self) -> tuple[int, ...]:
        """Heads of each layer."""
        return tuple(record.q.shape[1] for record in self.layers)

    @property
    def logits(self) -> Tensor:
        """[batch, class]."""
        return self._logits.detach()

    @property
    def probabilities(self) -> Tensor:
        """Softmax of the logits, [batch, class], in float32 at least."""
        logits = self.logits
        return (logits if logits.dtype == torch.float64 else logits.float()).softmax(-1)

    @property
    def score(self) -> Tensor:
        """What gradients explain, [batch]; part of the autograd graph if there is one."""
        return self.target.score(self._logits)

    @property
    def has_gradients(self) -> bool:
        """Whether what a backward pass needs was kept."""
        return self._logits.requires_grad

    def replaced(
        self,
        logits: Tensor,
        layers: list[LayerRecord],
        pool: AttentionCall | None,
        target: Target,
        head_mask: Heads,
    ) -> Trace:
        """The same inputs with what other masks made of them."""
        other = copy.copy(self)
        other._logits, other.layers, other.pool = logits, layers, pool
        other.target, other.head_mask = target, head_mask
        other._gradients = other._token_gradients = None
        other.known_attention = {}
        return other

    def retarget(self, target: Any) -> Trace:
        """The same trace with another target: one more backward pass, no forward pass."""
        other = copy.copy(self)  # all that was recorded, and known of it, is shared
        other.target = resolve(target, self.logits, self.model)
        other._gradients = other._token_gradients = None
        return other

    @contextmanager
    def rerunning(self) -> Iterator[None]:
        """Run parts of the model again in the body, in the modes of the recorded pass."""
        device, dtype = self.inputs.device.type, self._autocast
        autocast = torch.autocast(device, dtype, enabled=dtype is not None)
        with autocast, evaluating(self.model.model):
            yield

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
        q = record.q[:, heads][:, :, queries].detach()
        scores = (q * record.scale) @ record.k[:, heads].detach().transpose(-2, -1)
        if record.bias is not None:
            scores = _add_bias(scores, _slice_bias(record.bias.detach(), heads, queries))
        weights = scores.float() if scores.dtype in (torch.float16, torch.bfloat16) else scores
        return _drop(weights.softmax(-1), head, query)

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
        if self._gradients is None:
            self._gradients = output_gradients(self)
        return self._gradients[layer]

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
            self._token_gradients = token_gradients(self)
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


def _slice_bias(bias: Tensor, heads: slice | list[int], queries: slice | list[int]) -> Tensor:
    while bias.ndim < 4:
        bias = bias[None]
    if bias.shape[1] > 1:
        bias = bias[:, heads]
    return bias[:, :, queries] if bias.shape[2] > 1 else bias


def _add_bias(scores: Tensor, bias: Tensor) -> Tensor:
    if bias.dtype == torch.bool:
        return scores.masked_fill(~bias, float("-inf"))
    return scores + bias


def _drop(values: Tensor, head: Any, query: Any) -> Tensor:
    if _is_one(query):
        values = values[:, :, 0]
    return values[:, 0] if _is_one(head) else values


def _is_one(choice: Any) -> bool:
    """Whether a selection is one index, whose axis is dropped."""
    return not (choice is None or isinstance(choice, slice | Sequence) or np.ndim(choice))


def _listed(choice: Any) -> list[Any]:
    return [choice] if _is_one(choice) or isinstance(choice, str) else list(choice)
