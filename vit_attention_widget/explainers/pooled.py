"""LeGrad where tokens are pooled by attention: the pool's own gradient, and SigLIP's correction."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ..capture.calls import AttentionCall
from ..capture.function_mode import Capture
from ..errors import ParameterError
from ..models import VisionTransformer
from ..models.text_prompts import ZeroShot
from ..support.interrupts import interrupts_deferred
from ..targets import Target
from ..tracing.trace import Trace
from ..tracing.whole_graph import check_whole, differentiate

__all__ = ["empty_prompt", "pool_map", "without_generic_patches"]

_THRESHOLD = 0.8
"""The authors' threshold: patches where the empty prompt's map, scaled to [0, 1], exceeds it are
set to 0."""


def pool_map(trace: Trace, layer: int, model: VisionTransformer, target: Target) -> Tensor:
    """How the pool's attention to a layer's tokens moves a target, [batch, token].

    The relu of the gradient in the row of the first latent query, averaged over the pool's heads.

    Parameters
    ----------
    trace : Trace
    layer : int
    model : VisionTransformer
        The trace's own, or one with another readout of the same tower.
    target : Target
        Of that model's logits.
    """
    _ = trace.readout.pool  # there is one, of tokens that are known
    calls: list[AttentionCall] = []

    def watch(call: AttentionCall) -> Tensor:
        calls.append(call)
        call.out = call.out.detach().requires_grad_()
        return call.out

    record = trace.layers[layer]
    with interrupts_deferred(), torch.inference_mode(False), torch.enable_grad():
        with Capture(model.model, {}, watch) as capture:
            logits = model.readout(record.output.detach())
            capture.graph_breaks.check_end(logits)
        check_whole(trace.forward_pass, capture.graph_breaks.paths)
        score = target.score(logits).sum()
        call = _feeding(calls, score)
        (gradient,) = differentiate(trace.forward_pass, score, [call.out])
    latent = gradient[:, :, :1] @ call.v.detach().transpose(-2, -1)  # first latent query
    pooled = latent.relu().mean(1)[:, 0]
    layer_map = pooled.new_zeros(pooled.shape[0], trace.tokens.num_tokens)
    layer_map[:, layer_map.shape[1] - pooled.shape[1] :] = pooled  # some pools skip the prefix
    return layer_map


def _feeding(calls: Sequence[AttentionCall], score: Tensor) -> AttentionCall:
    """The last call on whose outputs a score depends; the last one where it depends on none."""
    if len(calls) == 1 or not score.requires_grad:
        return calls[-1]
    outs = [call.out for call in calls]
    gradients = torch.autograd.grad(score, outs, retain_graph=True, allow_unused=True)
    feeding = [c for c, gradient in zip(calls, gradients, strict=True) if gradient is not None]
    return feeding[-1] if feeding else calls[-1]


def empty_prompt(trace: Trace, readout: str, correction: bool | None) -> ZeroShot | None:
    """The traced model with the empty prompt as its only class, or None for no correction.

    Raises
    ------
    ParameterError
        If the correction was asked for and the model cannot have it.
    """
    if correction is False:
        return None
    model = trace.model
    pooled = readout == "model" and model.readout_kind == "attention_pool"
    empty = model.empty if pooled and isinstance(model, ZeroShot) else None
    if empty is None and correction:
        raise ParameterError(
            "correction=True needs prompts (vaw.zero_shot) on a model that pools by attention, "
            f'read out as it pools (readout="model"), and a tokenizer; {model.name} is traced '
            "without these. Leave correction out."
        )
    return empty


def without_generic_patches(
    trace: Trace, maps: list[Tensor], start: int, empty: ZeroShot
) -> list[Tensor]:
    """Maps [batch, token] of every layer, set to 0 where the empty prompt's map is high."""
    target = Target(lambda logits: logits[:, 0], empty.class_name(0))
    total, prefix, corrected = torch.zeros_like(maps[0]), trace.tokens.num_prefix, maps[:start]
    for layer in range(start, trace.num_layers):
        total = total + pool_map(trace, layer, empty, target)
        patches = total[:, prefix:]
        low, high = patches.amin(1, keepdim=True), patches.amax(1, keepdim=True)
        corrected.append(maps[layer].masked_fill(total > low + _THRESHOLD * (high - low), 0))
    return corrected
