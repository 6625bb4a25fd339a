"""Attention times its gradient, layer by layer; and the product, for methods that chain it."""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor

from ...tracing.trace import Trace
from ..attribution import Attribution
from .attention import fuse_heads

__all__ = ["attention_gradient", "times_gradient"]


def attention_gradient(trace: Trace) -> Attribution:
    r"""Attention of the readout's query in each layer, where it raises the target.

    :math:`E_l = \mathrm{mean}_h\,\mathrm{relu}(A_{l,h} \odot \partial y / \partial A_{l,h})` in
    the row of the class token, over the patches; each layer's map stands for itself. One
    layer's share of :func:`~.relevance.relevance`, without the mixing of lower layers.

    Parameters
    ----------
    trace : Trace

    Returns
    -------
    Attribution
        ``values`` [image, layer, row, col], at least 0, each of that layer alone.

    Notes
    -----
    The mean is over the heads that are not masked. Where not the class token alone is read out
    (ours): the mean over the rows of all tokens that are, each with its own gradient.

    Examples
    --------
    >>> import vit_attention_widget as vaw
    >>> trace = vaw.trace(vaw.demo.load_model(), vaw.demo.scene(seed=1).image)
    >>> vaw.explainers.attention_gradient(trace).final.shape
    torch.Size([1, 10, 10])
    """
    queries = trace.readout.queries
    maps = []
    for layer, record in enumerate(trace.layers):
        masked = record.masked
        if len(queries) == 1:
            row = _weighted(trace, layer, queries).relu()
            maps.append(fuse_heads(row, "mean", masked)[:, 0])
            continue
        total: Tensor | None = None
        for rows, product in times_gradient(trace, layer):
            read = [query - rows.start for query in queries if rows.start <= query < rows.stop]
            part = fuse_heads(product[:, :, read].relu(), "mean", masked).sum(1)
            total = part if total is None else total + part
        assert total is not None
        maps.append(total / len(queries))
    return Attribution.from_layers(trace, maps, "attention_gradient")


def times_gradient(trace: Trace, layer: int) -> Iterator[tuple[slice, Tensor]]:
    """``A * dy/dA`` of all heads, a few query rows at a time: (rows, [batch, head, row, key])."""
    for rows, attention in trace.attention_chunks(layer):
        yield rows, attention * trace.attention_gradient(layer, query=rows)


def _weighted(trace: Trace, layer: int, queries: list[int]) -> Tensor:
    gradient = trace.attention_gradient(layer, query=queries)
    return trace.attention(layer, query=queries) * gradient
