"""How the tokens after the last block become logits."""

from __future__ import annotations

import torch
from torch import Tensor

from ..capture.calls import AttentionCall
from ..errors import UnsupportedModelError
from .forward_pass import ForwardPass
from .layer_record import attention_rows

__all__ = ["Readout"]


class Readout:
    """The readout of a forward pass: class token, mean over patches, or attention pooling."""

    def __init__(self, forward_pass: ForwardPass) -> None:
        self._forward_pass = forward_pass
        self._checked = False
        self._shares: Tensor | None = None

    def of(self, forward_pass: ForwardPass) -> Readout:
        """The readout of another pass of the same model, which counts as checked if this one is."""
        readout = Readout(forward_pass)
        readout._checked, readout._shares = self._checked, self._shares
        return readout

    @property
    def queries(self) -> list[int]:
        """Tokens that feed the readout: the class token, or all that are read if patches are.

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

        1 for the class token; for a mean its weights, as measured, which are mostly uniform; or the
        attention of the pooling layer's first latent query, averaged over its heads. Where tokens
        are read in ways that cannot be compared (the class token beside the patches' mean), all
        that are read weigh the same.

        Raises
        ------
        UnsupportedModelError
            If the model pools by attention but none was observed, or several, or of something else
            than its tokens; or it could not be established which tokens are read.
        """
        recorded = self._forward_pass
        weights = recorded.layers[0].q.new_zeros(recorded.batch_size, recorded.tokens.num_tokens)
        if recorded.model.readout_kind == "attention_pool":
            pooled = attention_rows(self.pool, slice(None), [0])[:, :, 0].mean(1)
            skipped = weights.shape[1] - pooled.shape[-1]  # some pools ignore the prefix tokens
            weights[:, skipped:] = pooled
            return weights
        queries = self.queries
        if self._shares is None:
            self._shares = self._measure_shares(queries)
        weights[:, queries] = self._shares.to(weights)
        return weights

    def _measure_shares(self, queries: list[int]) -> Tensor:
        """Weight of each of the tokens that are read, [token], summing to 1.

        For tokens that are all alike the gradient of a weighted mean, whatever norm comes before
        and whatever head after it, is one vector times each token's weight.
        """
        model, output = self._forward_pass.model, self._forward_pass.layers[-1].output
        uniform = torch.full([len(queries)], 1 / len(queries), dtype=torch.float64)
        if len(queries) == 1 or model.readout_kind not in ("mean", "class"):
            return uniform
        with self._forward_pass.rerunning(), torch.inference_mode(False), torch.enable_grad():
            try:
                self.check()
            except UnsupportedModelError:
                return uniform
            alike = output.detach()[:1].mean(1, keepdim=True).expand(-1, output.shape[1], -1)
            alike = alike.clone().requires_grad_()
            read = model.readout(alike)
            if not read.requires_grad:
                return uniform
            score = (read * torch.linspace(-1, 1, read.shape[1]).to(read).cos()).sum()
            (gradient,) = torch.autograd.grad(score, alike, allow_unused=True)
        if gradient is None:
            return uniform
        of_each = gradient[0, queries].double().cpu()
        total = of_each.sum(0)
        shares = of_each @ total / (total @ total).clamp_min(torch.finfo(torch.float64).tiny)
        off = (of_each - shares[:, None] * total).norm() / of_each.norm().clamp_min(1e-300)
        measured = bool(off < 1e-2) and bool((shares >= 0).all())
        if not measured or torch.allclose(shares, uniform, rtol=1e-2, atol=0):
            return uniform
        return shares / shares.sum()

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

    @property
    def pool(self) -> AttentionCall:
        """The attention with which the model pools all of its tokens, or its patches.

        Raises
        ------
        UnsupportedModelError
            If none was observed, or several, or of something else than these tokens.
        """
        recorded = self._forward_pass
        name, pools, tokens = recorded.model.name, recorded.pools, recorded.tokens
        if len(pools) != 1:
            seen = "no such attention was observed" if not pools else (
                f"it does so {len(pools)} times, so no attention alone says how it weighs them"
            )  # fmt: skip
            raise UnsupportedModelError(f"{name} pools its tokens by attention, but {seen}.")
        count, patches = pools[0].v.shape[-2], tokens.num_tokens - tokens.num_prefix
        if count not in (tokens.num_tokens, patches):
            raise UnsupportedModelError(
                f"{name} pools {count} vectors by attention, which are neither its "
                f"{tokens.num_tokens} tokens nor its {patches} patches, so it is not known where "
                "in the image they lie. Use what needs no pool: daam, attention, or "
                'metric="taylor".'
            )
        return pools[0]
