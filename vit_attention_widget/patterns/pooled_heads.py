"""Attention of every head as a small vector of fixed size, whatever the model and the image."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..tracing.trace import Trace
from .class_token_pooling import ClassTokenPooling
from .family_spec import FamilyName
from .patch_pooling import PatchPooling

__all__ = ["PooledHeads", "pool_heads"]


@dataclass(frozen=True, eq=False)
class PooledHeads:
    """All heads of some images in one family.

    Attributes
    ----------
    vectors : Tensor
        [head, size], square roots of pooled attention, in [0, 1]; or the same in 8 bits, 255 for 1.
    scores : Tensor
        [head, role], in [0, 1].
    heads : Tensor
        [head, 3]: image, layer and head of each.
    """

    vectors: Tensor
    scores: Tensor
    heads: Tensor

    def _images(self, first: int, last: int) -> PooledHeads:
        here = (self.heads[:, 0] >= first) & (self.heads[:, 0] < last)
        heads = self.heads[here] - torch.tensor([first, 0, 0])
        return PooledHeads(self.vectors[here], self.scores[here], heads)

    @property
    def levels(self) -> Tensor:
        """The vectors in 8 bits, 255 for 1: a set of images has many heads."""
        return (self.vectors * 255).round().to(torch.uint8)


def pool_heads(trace: Trace) -> dict[FamilyName, PooledHeads]:
    r"""Pool the attention of every head to a fixed size, and score what each head does.

    Keys are pooled by their sum and queries by their mean, each patch shared between cells in
    proportion to the overlap. The square root makes the squared distance of two vectors that of
    Hellinger, so that faint attention counts too.

    The scores of the family ``patches`` say how similar a head's attention is to that of a head
    with a single role: the mean over patches i of the Bhattacharyya coefficient
    :math:`\sum_j \sqrt{A_{ij} T_{ij}}` with that head's attention T, in [0, 1]. The templates T are
    ``self``, ``neighbors`` (the up to 8 around), ``row`` and ``column`` (of the patch, itself
    included), ``uniform`` (all patches), ``class token`` and ``registers`` (all other prefix
    tokens). ``sink`` is how much all patches attend to the same few: of the mean m of the square
    roots of the rows, the part that is not uniform, times the norm of m (whose square is the mean
    coefficient of all pairs of rows).

    In the family ``class`` the class token attends to ``itself`` (square root of that attention),
    to ``all patches`` (coefficient with uniform attention), to ``few patches`` (the norm of what
    remains of the root then), and is ``attended to`` (mean over patches of the root of their
    attention).

    Parameters
    ----------
    trace : Trace

    Returns
    -------
    dict
        ``{"patches": PooledHeads, "class": PooledHeads}``; no ``"class"`` without a class token.

    Notes
    -----
    Attention is formed a few query rows at a time; no matrix of all tokens is held.
    """
    poolings: list[PatchPooling | ClassTokenPooling] = [PatchPooling(trace)]
    class_token = trace.tokens.class_token
    if class_token is not None:
        poolings.append(ClassTokenPooling(trace, class_token))
    by_layer: dict[FamilyName, list[tuple[Tensor, Tensor]]] = {}
    for layer in range(trace.num_layers):
        for pooling in poolings:
            pooling.begin(layer)
        for rows, attention in trace.attention_chunks(layer):
            attention = attention.to(trace.probabilities)
            for pooling in poolings:
                pooling.add(rows, attention)
        for pooling in poolings:
            by_layer.setdefault(pooling.family.name, []).append(pooling.finished())
    heads = torch.tensor(
        [
            (image, layer, head)
            for layer, count in enumerate(trace.num_heads)
            for image in range(trace.batch_size)
            for head in range(count)
        ]
    )
    order = heads[:, 0].argsort(stable=True)  # image by image
    return {
        name: PooledHeads(
            torch.cat([vectors.flatten(0, 1) for vectors, _ in layers])[order],
            torch.cat([scores.flatten(0, 1) for _, scores in layers])[order],
            heads[order],
        )
        for name, layers in by_layer.items()
    }
