"""How the tokens after the last block become logits."""

from __future__ import annotations

import torch
from torch import Tensor

from ..errors import UnsupportedModelError
from .forward_pass import ForwardPass

__all__ = ["Readout"]


class Readout:
    """The readout of a forward pass: a class token, a mean over tokens, or a pool of attention."""

    def __init__(self, forward_pass: ForwardPass) -> None:
        self._forward_pass = forward_pass
        self._checked = False

    def of(self, forward_pass: ForwardPass) -> Readout:
        """The readout of another pass of the same model, checked if this one is."""
        readout = Readout(forward_pass)
        readout._checked = self._checked
        return readout

    @property
    def queries(self) -> list[int]:
        """Tokens whose attention feeds the readout: the class token, or all patches without one."""
        if self._forward_pass.model.readout_kind == "class":
            return [0]
        tokens = self._forward_pass.tokens
        return list(range(tokens.num_prefix, tokens.num_tokens))

    def weights(self) -> Tensor:
        """How much each token enters the readout, [batch, token], summing to 1.

        The class token alone; the mean over patches; or the attention of the pool's first latent
        query, averaged over its heads.

        Raises
        ------
        UnsupportedModelError
            If the model pools by attention and none was seen.
        """
        recorded = self._forward_pass
        weights = recorded.layers[0].q.new_zeros(recorded.batch_size, recorded.tokens.num_tokens)
        if recorded.model.readout_kind == "attention_pool":
            pooled = self._pool_attention().mean(1)
            skipped = weights.shape[1] - pooled.shape[-1]  # a pool may not see the prefix tokens
            weights[:, skipped:] = pooled
            return weights
        queries = self.queries
        weights[:, queries] = 1 / len(queries)
        return weights

    def check(self) -> None:
        """Make sure that blocks, norm and head are all that the model does after its attention.

        Raises
        ------
        UnsupportedModelError
            If the last layer's tokens, read out, are not the model's own logits.
        """
        if self._checked:
            return
        model, expected = self._forward_pass.model, self._forward_pass.logits.detach()
        with torch.no_grad():
            logits = model.readout(self._forward_pass.layers[-1].output)
        tolerance = 1e-3 if logits.dtype in (torch.float32, torch.float64) else 5e-2
        error = (logits - expected).abs().max() if logits.shape == expected.shape else torch.inf
        if not error <= tolerance * expected.abs().max().clamp_min(1e-6):
            raise UnsupportedModelError(
                f"{model.name} does more than its norm and head with the tokens of its last "
                "block, so the tokens of other layers cannot be read out as it reads them. Use a "
                "method that reads out no tokens: daam, gmar, rollout, attention, or "
                'metric="taylor".'
            )
        self._checked = True

    def _pool_attention(self) -> Tensor:
        """Attention of the pool's first latent query, [batch, head, key]."""
        call = self._forward_pass.pool
        if call is None:
            raise UnsupportedModelError(
                f"{self._forward_pass.model.name} reads out by attention pooling, but no such "
                "attention was seen."
            )
        scores = (call.q[:, :, 0:1] * call.scale) @ call.k.transpose(-2, -1)
        return scores.detach().softmax(-1)[:, :, 0]
