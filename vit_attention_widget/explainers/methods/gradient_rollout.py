"""Rollout of attention weighted by its gradient."""

from __future__ import annotations

from ...support.deprecation import renamed_keywords
from ...tracing.trace import Trace
from ..attribution import Attribution
from .attention import HeadFusion, fuse_heads
from .attention_gradient import times_gradient
from .rollout import Rows, chain, discarding

__all__ = ["gradient_rollout"]


@renamed_keywords({"alpha": "residual_weight"})
def gradient_rollout(
    trace: Trace,
    *,
    head_fusion: HeadFusion = "mean",
    discard_ratio: float = 0.0,
    residual_weight: float = 1.0,
) -> Attribution:
    r"""Rollout in which each entry of the attention counts by how much it raises the target.

    :math:`R_l = \mathrm{rownorm}(\bar A_l + \alpha I)\, R_{l-1}` with :math:`\bar A_l =
    \mathrm{relu}\big(\mathrm{fuse}_h (A_{l,h} \odot \partial y / \partial A_{l,h})\big)`; the map
    is the class-token row of :math:`R_l` over the patches. Code for
    ViTs commonly makes Abnar and Zuidema's rollout class-specific in this way; no paper defines it.

    Parameters
    ----------
    trace : Trace
    head_fusion : {"mean", "max", "min"}
        How the heads of a layer become one matrix; masked heads are left out.
    discard_ratio : float
        Share of the smallest entries of each layer's matrix set to 0 before the identity is
        added, in [0, 1). The column of the class token is never dropped; rows are renormalized.
    residual_weight : float
        :math:`\alpha`, the weight of the identity, at least 0. A gradient has a scale of its own,
        so a smaller weight lets the attention count for more.

    Returns
    -------
    Attribution
        ``values`` [image, layer, row, col], in [0, 1].

    Raises
    ------
    ParameterError
        If an option is outside its range.

    Notes
    -----
    Heads are fused before negative entries are dropped, so that heads which disagree cancel;
    :func:`~.relevance.relevance` drops them head by head. Code that is widely copied pairs layer
    i's attention with layer L-1-i's gradient; here each layer has its own.

    Without a class token (ours) the rows are weighted as the readout weighs its tokens.

    Examples
    --------
    >>> import vit_attention_widget as vaw
    >>> trace = vaw.trace(vaw.demo.load_model(), vaw.demo.scene(seed=1).image)
    >>> vaw.explainers.gradient_rollout(trace, residual_weight=0.1).final.shape
    torch.Size([1, 10, 10])
    """

    def fused(layer: int) -> Rows:
        masked = trace.layers[layer].masked
        for rows, product in times_gradient(trace, layer):
            yield rows, fuse_heads(product, head_fusion, masked).relu()

    kept = discarding(fused, discard_ratio, trace.tokens)
    return Attribution.from_layers(trace, chain(trace, kept, residual_weight), "gradient_rollout")
