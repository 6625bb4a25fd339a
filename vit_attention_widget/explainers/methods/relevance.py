"""Relevance propagated through attention by its gradient (Chefer, Gur and Wolf 2021)."""

from __future__ import annotations

from ...tracing.trace import Trace
from ..attribution import Attribution
from .attention import fuse_heads
from .attention_gradient import times_gradient
from .rollout import Rows, chain

__all__ = ["relevance"]


def relevance(trace: Trace) -> Attribution:
    r"""Attention that raises the target, carried from layer to layer.

    :math:`R_l = R_{l-1} + \bar A_l R_{l-1}` with :math:`\bar A_l = \mathrm{mean}_h\,
    \mathrm{relu}(A_{l,h} \odot \partial y / \partial A_{l,h})` and :math:`R` the identity before
    layer 0; the map is the class-token row of :math:`R_l` over the patches (Chefer, Gur and Wolf:
    *Generic Attention-model Explainability*, ICCV 2021, arXiv 2103.15679).

    Parameters
    ----------
    trace : Trace

    Returns
    -------
    Attribution
        ``values`` [image, layer, row, col], at least 0.

    Notes
    -----
    The mean is over the heads that are not masked, after the relu, as in the paper; the package
    txv clamps after the mean, so that heads which disagree cancel. No row is renormalized, so the
    map grows with the layers and with the scale of the target.

    The authors' earlier method (CVPR 2021, arXiv 2012.09838) puts relevance from layer-wise
    propagation in the attention's place; that needs rules for every kind of module and is not here.

    Without a class token (ours) the rows are weighted as the readout weighs its tokens.

    Examples
    --------
    >>> import vit_attention_widget as vaw
    >>> trace = vaw.trace(vaw.demo.load_model(), vaw.demo.scene(seed=1).image)
    >>> vaw.explainers.relevance(trace).final.shape
    torch.Size([1, 10, 10])
    """

    def fused(layer: int) -> Rows:
        masked = trace.layers[layer].masked
        for rows, product in times_gradient(trace, layer):
            yield rows, fuse_heads(product.relu(), "mean", masked)

    return Attribution.from_layers(trace, chain(trace, fused, 1.0, normalize=False), "relevance")
