"""The model's norm and head, applied to one token alone."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ..errors import UnsupportedModelError
from ..tracing.trace import Trace

__all__ = ["token_head"]


def token_head(trace: Trace) -> Callable[[Tensor], Tensor]:
    """A function from tokens [n, dim] to the logits [n, class] of each by itself.

    What a token by itself decides is what the model would decide if all of its tokens were this
    one. The ways in which a model may be read out for single tokens are held against that.

    Raises
    ------
    UnsupportedModelError
        If the model pools by attention, or no way agrees.
    """
    vit = trace.model
    if vit.readout_kind == "attention_pool":
        raise UnsupportedModelError(
            f"{vit.name} pools its tokens by attention: what it decides depends on how they "
            "compare with each other, so one token alone decides nothing. Use tokens=False for "
            "what each layer would decide."
        )
    sample = trace.layers[-1].output.detach()[:1, -1]
    expected = vit.readout(sample[:, None].expand(-1, trace.tokens.num_tokens, -1))
    tolerance = 1e-3 if expected.dtype in (torch.float32, torch.float64) else 5e-2

    def shortened(tokens: Tensor) -> Tensor:
        return vit.readout(tokens[:, None].expand(-1, trace.tokens.num_prefix + 1, -1))

    for head in (vit.project, shortened):
        logits = head(sample)
        error = (logits - expected).abs().max() if logits.shape == expected.shape else torch.inf
        if error <= tolerance * expected.abs().max().clamp_min(1e-6):
            return head
    raise UnsupportedModelError(
        f"The norm and head of {vit.name} do not act on one token as on all of them, so it cannot "
        "be said what one token decides. Use tokens=False for what each layer would decide."
    )
