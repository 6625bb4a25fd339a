"""How the tokens after the last block become logits."""

from __future__ import annotations

import torch
from torch import Tensor

from ..errors import UnsupportedModelError
from .forward_pass import ForwardPass

__all__ = ["Readout"]


class Readout:
    """The readout of a forward pass: class token, mean over patches, or attention pooling."""

    def __init__(self, forward_pass: ForwardPass) -> None:
        self._forward_pass = forward_pass
        self._checked = False

    def of(self, forward_pass: ForwardPass) -> Readout:
        """The readout of another pass of the same model, which counts as checked if this one is."""
        readout = Readout(forward_pass)
        readout._checked = self._checked
        return readout

    @property
    def queries(self) -> list[int]:
        """Tokens that feed the readout: the class token, or all patches if there is none.

        Raises
        ------
        UnsupportedModelError
            If it could not be established in the pass which these are.
        """
        read = self._forward_pass.read
        if read.unknown is not None:
            raise UnsupportedModelError(
                f"Which tokens {self._forward_pass.model.name} reads out is not known: "
                f"{read.unknown}. What needs no readout can be had: attention of single heads and "
                "queries, and their strength."
            )
        return list(read.queries)

    def weights(self) -> Tensor:
        """Weight of each token in the readout, [batch, token], summing to 1.

        1 for the class token; uniform over the patches; or the attention of the pooling layer's
        first latent query, averaged over its heads.

        Raises
        ------
        UnsupportedModelError
            If the model pools by attention but no such attention was observed, or it could not be
            established which tokens are read.
        """
        recorded = self._forward_pass
        weights = recorded.layers[0].q.new_zeros(recorded.batch_size, recorded.tokens.num_tokens)
        if recorded.model.readout_kind == "attention_pool":
            pooled = self._pool_attention().mean(1)
            skipped = (
                weights.shape[1] - pooled.shape[-1]
            )  # some pooling layers ignore the prefix tokens
            weights[:, skipped:] = pooled
            return weights
        queries = self.queries
        weights[:, queries] = 1 / len(queries)
        return weights

    def check(self) -> None:
        """Verify that applying the final norm and head to the last tokens gives the model's logits.

        Raises
        ------
        UnsupportedModelError
            If it does not, so that the tokens of other layers cannot be read out either.
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
                "block, so the tokens of other layers cannot be read out in the same way. Use a "
                "method that does not need that: daam, gmar, rollout, attention, or "
                'metric="taylor".'
            )
        self._checked = True

    def _pool_attention(self) -> Tensor:
        """Attention of the pooling layer's first latent query, [batch, head, key]."""
        call = self._forward_pass.pool
        if call is None:
            raise UnsupportedModelError(
                f"{self._forward_pass.model.name} pools its tokens by attention, but no such "
                "attention was observed."
            )
        scores = (call.q[:, :, 0:1] * call.scale) @ call.k.transpose(-2, -1)
        return scores.detach().softmax(-1)[:, :, 0]
