"""Grad-CAM on patch tokens (Selvaraju et al. 2017)."""

from __future__ import annotations

from typing import Literal, TypeAlias, get_args

import torch
from torch import Tensor

from ...capture.calls import AttentionCall
from ...capture.function_mode import Capture
from ...errors import CaptureError, ParameterError
from ...tracing.checks.alone import check_alone
from ...tracing.checks.sequence import check_chain
from ...tracing.trace import Trace
from ...tracing.whole_graph import differentiate
from ..attribution import Attribution

__all__ = ["GradcamTokens", "gradcam"]

GradcamTokens: TypeAlias = Literal["normed", "before", "after"]
"""Which tokens of a layer Grad-CAM weights."""


def gradcam(trace: Trace, *, tokens: GradcamTokens = "normed") -> Attribution:
    r"""Patch tokens weighted, channel by channel, by how they move the target on average.

    :math:`E_l[n] = \mathrm{relu}\big(\sum_c w_c\, z_l[n,c]\big)` with :math:`w_c = \mathrm{mean}_n
    \, \partial y / \partial z_l[n,c]` over the patches: Grad-CAM (Selvaraju et al., ICCV 2017),
    whose feature maps are the tokens' channels on the patch grid. Each layer's map stands for
    itself.

    Parameters
    ----------
    trace : Trace
    tokens : {"normed", "before", "after"}
        Which tokens z are those of a layer: what the block's first norm hands to the attention;
        what the block is given; or what it returns.

    Returns
    -------
    Attribution
        ``values`` [image, layer, row, col], at least 0, each of that layer alone.

    Raises
    ------
    ParameterError
        If ``tokens`` is none of these.
    CaptureError
        If the trace has no gradients, parts of the model pass none, or it is unclear which norm of
        a block comes first.

    Notes
    -----
    Where only a class token is read out, no patch that the last block returns reaches the target:
    with ``"after"`` the last layer's map is 0 everywhere. The tokens that the last attention reads
    make the better last map.

    Grad-CAM was made for the feature maps of convolutions; what takes their place in a ViT is a
    choice. Code for ViTs mostly takes the output of the last block's first norm, and so does
    ``"normed"``. The gradient with respect to a norm's input is orthogonal to that input, so
    ``"before"`` can miss the very patches that matter most. In a block without a norm before its
    attention, ``"normed"`` takes the block's input.

    It hardly tells objects apart: in 60 scenes of two objects (bundled model) more of the last map
    lay on the side of the class that was asked for in 57 %, where 50 % is chance (DAAM 87 %,
    gradient rollout 82 %, relevance 80 %).

    Examples
    --------
    >>> import vit_attention_widget as vaw
    >>> trace = vaw.trace(vaw.demo.load_model(), vaw.demo.scene(seed=1).image)
    >>> vaw.explainers.gradcam(trace).final.shape
    torch.Size([1, 10, 10])
    """
    if tokens not in get_args(GradcamTokens):
        raise ParameterError(f"tokens is {tokens!r}: choose 'normed', 'before' or 'after'.")
    maps = []
    for layer, record in enumerate(trace.layers):
        if tokens == "normed" and record.block.unclear_norm:
            raise CaptureError(
                f"It is unclear which norm of block {layer} of {trace.model.name} comes first: "
                f'{record.block.unclear_norm}. Use tokens="before" or tokens="after".'
            )
        by_normed = trace.normed_gradient(layer) if tokens == "normed" else None
        if by_normed is None:
            check_chain(trace.layers, trace.model)  # else these are not all tokens that go on
            check_alone(trace.forward_pass)
        if tokens == "after":
            z, gradient = record.output, trace.token_gradient(layer)
        elif tokens == "before" and layer > 0:
            z, gradient = record.input, trace.token_gradient(layer - 1)
        elif by_normed is not None and record.block.normed is not None:
            z, gradient = record.block.normed, by_normed
        else:
            z, gradient = _inside(trace, layer, tokens == "normed")
        weights = gradient[:, trace.tokens.num_prefix :].mean(1, keepdim=True)
        maps.append((z.detach() * weights).sum(-1).relu())
    return Attribution.from_layers(trace, maps, "gradcam")


def _inside(trace: Trace, layer: int, normed: bool) -> tuple[Tensor, Tensor]:
    """A block's input, or its norm of that, with the target's gradient: the block runs again."""
    record, block = trace.layers[layer], trace.model.blocks[layer]

    def mask(call: AttentionCall) -> Tensor:
        return call.out.masked_fill(masked, 0)

    with trace.rerunning(), torch.inference_mode(False), torch.enable_grad():
        masked = record.masked  # heads that were masked stay so
        inputs = record.input.detach().requires_grad_()
        turned = record.block.token_first
        with Capture(trace.model.model, {block: 0}, mask, token_first=turned) as capture:
            after = record.block.rerun(block, inputs)
        norm_output = capture.block_calls[0].normed
        z = norm_output if normed and norm_output is not None else inputs
        upstream = trace.token_gradient(layer)
        (gradient,) = differentiate(trace.forward_pass, after, [z], upstream)
    return z, gradient
