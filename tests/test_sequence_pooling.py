"""Tokens pooled by weights that a linear layer makes of them (sequence pooling, as in CCT)."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from test_head_by_head import DIM, HEADS, TARGET, ViT
from torch import Tensor, nn

import vit_attention_widget as vaw
from vit_attention_widget.errors import UnsupportedModelError
from vit_attention_widget.explainers import daam, legrad, rollout

WIDTH = HEADS * DIM

Pool = Callable[[Tensor, Tensor], Tensor]


class Pooling(ViT):
    def __init__(self, pool: Pool) -> None:
        super().__init__()
        self.pool, self.score = pool, nn.Linear(WIDTH, 1)
        with torch.no_grad():
            self.score.weight.mul_(8)

    def shares(self, normed: Tensor) -> Tensor:
        return self.score(normed).softmax(1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patch(x).flatten(2).mT
        for block in self.blocks:
            x = block(x)
        normed = self.norm(x)
        return self.head(self.pool(self.shares(normed), normed))


POOLS: dict[str, Pool] = {
    "weights first": lambda a, x: torch.matmul(a.transpose(-1, -2), x).squeeze(-2),
    "tokens first": lambda a, x: (x.mT @ a).squeeze(-1),
    "bmm": lambda a, x: torch.bmm(a.mT, x)[:, 0],
}


@pytest.mark.parametrize("pool", POOLS)
@pytest.mark.parametrize("gradients", [True, False])
def test_what_is_read_out_are_the_weights_of_the_pool(pool: str, gradients: bool) -> None:
    torch.manual_seed(0)
    model = Pooling(POOLS[pool]).double().eval()
    images = torch.randn(2, 3, 32, 32, dtype=torch.float64)
    trace = vaw.trace(model, images, TARGET, gradients=gradients)
    assert torch.equal(trace.logits, model(images).detach())
    tokens = trace.layers[-1].output.detach()
    shares = model.shares(model.norm(tokens))[..., 0].detach()
    assert shares.max() > 5 / shares.shape[1]  # by far not a mean
    torch.testing.assert_close(trace.readout.weights(), shares)

    # Rollout by hand: the row of the readout, carried down through mean attention and identity.
    row = shares[:, None]
    for record in reversed(trace.layers):
        mean = record.attention(slice(None), slice(None)).mean(1)
        row = row @ (mean + torch.eye(mean.shape[1], dtype=mean.dtype)) / 2
    ours = rollout(trace).final.flatten(1)
    torch.testing.assert_close(ours / ours.sum(1, keepdim=True), row[:, 0], rtol=1e-6, atol=1e-9)
    if gradients:
        assert daam(trace).final.isfinite().all()
        assert legrad(trace).final.any()


@pytest.mark.parametrize(
    "pool",
    [
        lambda a, x: (a * x).sum(1),
        lambda a, x: (x * a).sum(dim=1),
        lambda a, x: torch.einsum("bn,bnd->bd", a[..., 0], x),
    ],
)
def test_weights_that_are_not_followed_are_refused_with_the_way_out(pool: Pool) -> None:
    torch.manual_seed(0)
    model = Pooling(pool).double().eval()
    trace = vaw.trace(model, torch.randn(2, 3, 32, 32, dtype=torch.float64), TARGET)
    assert trace.attention(1).shape[1] == HEADS
    with pytest.raises(UnsupportedModelError, match=r"torch\.matmul\(weights"):
        rollout(trace)


def test_a_mean_with_equal_weights_is_a_mean() -> None:
    torch.manual_seed(0)
    model = Pooling(lambda a, x: (x * torch.full_like(a, 1 / a.shape[1])).sum(1)).double().eval()
    trace = vaw.trace(model, torch.randn(2, 3, 32, 32, dtype=torch.float64), TARGET)
    torch.testing.assert_close(trace.readout.weights(), torch.full((2, 16), 1 / 16).double())
    assert rollout(trace).final.any()
