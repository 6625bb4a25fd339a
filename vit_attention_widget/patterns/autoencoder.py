"""An autoencoder that starts as PCA and learns what PCA cannot say."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, linear, mse_loss

from ..errors import ParameterError

__all__ = ["Autoencoder", "Fit", "encode_all", "fit_autoencoder"]

_HIDDEN = 256
_BATCH = 256
_DROPOUT, _WEIGHT_DECAY = 0.3, 0.3
_EPOCHS, _FEWEST, _STEPS = 40, 100, 600
"""How long is trained: so often through all heads, within these numbers of steps."""

_MOST = 20_000
"""Heads that are trained on at most; a random part of more."""


class _Correction(nn.Module):
    """A small network that adds nothing at first.

    Random numbers come from a generator: the global ones belong to the user.
    """

    def __init__(self, size: int, other: int) -> None:
        super().__init__()
        self.inner = nn.Parameter(torch.zeros(_HIDDEN, size))
        self.inner_bias = nn.Parameter(torch.zeros(_HIDDEN))
        self.outer = nn.Parameter(torch.zeros(other, _HIDDEN))
        self.outer_bias = nn.Parameter(torch.zeros(other))

    def begin(self, generator: torch.Generator) -> None:
        """Set the weights that training starts from."""
        reach = self.inner.shape[1] ** -0.5
        nn.init.uniform_(self.inner, -reach, reach, generator)

    def forward(self, values: Tensor, dropout: torch.Generator | None) -> Tensor:
        """What is added, with dropout when a generator is given."""
        hidden = gelu(linear(values, self.inner, self.inner_bias))
        if dropout is not None:
            chance = torch.rand(hidden.shape, generator=dropout, dtype=torch.float32)
            kept = chance >= _DROPOUT
            hidden = hidden * kept / (1 - _DROPOUT)
        return linear(hidden, self.outer, self.outer_bias)


class Autoencoder(nn.Module):
    """A linear map to the latent space and back, each corrected by a small network.

    Parameters
    ----------
    size, latent : int
        Lengths of the vectors and of their codes.
    """

    mean: Tensor
    spread: Tensor

    def __init__(self, size: int, latent: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("spread", torch.ones(latent))
        self.down = nn.Parameter(torch.zeros(latent, size))
        self.up = nn.Parameter(torch.zeros(size, latent))
        self.encoder = _Correction(size, latent)
        self.decoder = _Correction(latent, size)
        self.float()  # whatever torch's default type is

    def encode(self, vectors: Tensor, dropout: torch.Generator | None = None) -> Tensor:
        """Vectors [head, size] -> codes [head, latent]."""
        centered = vectors - self.mean
        codes: Tensor = linear(centered, self.down) + self.encoder(centered, dropout)
        return codes

    def decode(self, codes: Tensor, dropout: torch.Generator | None = None) -> Tensor:
        """Codes [head, latent] -> vectors [head, size]."""
        correction: Tensor = self.decoder(codes / self.spread, dropout)
        return self.mean + linear(codes, self.up) + correction

    def forward(self, vectors: Tensor, dropout: torch.Generator | None = None) -> Tensor:
        """Vectors as they come back; with a generator, as they do in training."""
        return self.decode(self.encode(vectors, dropout), dropout)

    def start_as_pca(self, vectors: Tensor) -> None:
        """Make it the PCA of some vectors; the networks add nothing yet."""
        mean = vectors.mean(0)
        centered = vectors - mean
        squares, axes = _principal(centered)
        axes = axes[: len(self.down)]
        largest = axes.gather(1, axes.abs().argmax(1, keepdim=True))
        axes = axes * largest.sign()  # else the sign is the solver's whim
        self.mean.copy_(mean)
        spread = (squares[: len(self.down)] / len(vectors)).sqrt()
        self.spread.copy_(spread.clamp_min(1e-6))
        with torch.no_grad():
            self.down.copy_(axes)
            self.up.copy_(axes.T)


@dataclass(frozen=True)
class Fit:
    """A trained autoencoder and its mean squared error on held-out heads.

    ``error`` is its own, ``pca_error`` that of PCA with as many dimensions.
    """

    autoencoder: Autoencoder
    error: float
    pca_error: float


@torch.inference_mode(False)
def fit_autoencoder(
    vectors: Tensor,
    held_out: Tensor,
    latent: int,
    seed: int,
    progress: Callable[[float], None] = lambda fraction: None,
) -> Fit:
    """Train on some heads, keep what is best on half of the others, and measure on the other half.

    Parameters
    ----------
    vectors : Tensor
        [head, size], uint8 with 255 for 1, or float.
    held_out : Tensor
        [head], True where a head is only measured on.
    latent : int
        At most so many dimensions; fewer where there are fewer heads.
    seed : int
    progress : callable, optional
        Called with the fraction done; may raise to stop.

    Raises
    ------
    ParameterError
        If there are fewer than 4 heads.
    """
    if len(vectors) < 4:
        raise ParameterError(
            f"There are {len(vectors)} heads in all: patterns need at least 4, of several images."
        )
    generator = torch.Generator().manual_seed(seed)
    train = (~held_out).nonzero()[:, 0]
    train = train[torch.randperm(len(train), generator=generator)[:_MOST]]
    tested = held_out.nonzero()[:, 0]
    tested = tested[torch.randperm(len(tested), generator=generator)[: _MOST // 4]]
    trained_on, unseen = _floats(vectors[train]), _floats(vectors[tested])
    autoencoder = Autoencoder(vectors.shape[1], min(latent, len(trained_on) - 1))
    autoencoder.start_as_pca(trained_on)
    autoencoder.encoder.begin(generator)
    autoencoder.decoder.begin(generator)
    guide, judge = unseen[::2], unseen[1::2] if len(unseen) > 1 else unseen
    pca_error, best_error = _error(autoencoder, judge), _error(autoencoder, guide)
    best = _state(autoencoder)
    optimizer = torch.optim.AdamW(autoencoder.parameters(), lr=1e-3, weight_decay=_WEIGHT_DECAY)
    an_epoch = max(1, math.ceil(len(trained_on) / _BATCH))
    steps = min(max(_EPOCHS * an_epoch, _FEWEST), _STEPS)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, 1e-3, total_steps=steps, pct_start=0.2
    )
    for step in range(steps):
        if step % an_epoch == 0:
            order = torch.randperm(len(trained_on), generator=generator)
        batch = trained_on[order[(step % an_epoch) * _BATCH :][:_BATCH]]
        with torch.enable_grad():
            loss = mse_loss(autoencoder(batch, generator), batch)
            optimizer.zero_grad()
            loss.backward()
        optimizer.step()
        schedule.step()
        if step % 20 == 19:
            progress(step / steps)
            error = _error(autoencoder, guide)
            if error < best_error:
                best, best_error = _state(autoencoder), error
    autoencoder.load_state_dict(best)
    error = _error(autoencoder, judge)
    return Fit(autoencoder.requires_grad_(False), error, pca_error)


def _principal(centered: Tensor) -> tuple[Tensor, Tensor]:
    """Sums of squares along the principal axes, largest first, and those axes [axis, size]."""
    if len(centered) < centered.shape[1]:  # eigh of a matrix of low rank takes long, or gives NaN
        _, singular, axes = torch.linalg.svd(centered, full_matrices=False)
        return singular**2, axes
    squares, axes = torch.linalg.eigh(centered.T @ centered)
    return squares.flip(0).clamp_min(0), axes.flip(1).T


def _floats(vectors: Tensor) -> Tensor:
    return vectors.float() / 255 if vectors.dtype == torch.uint8 else vectors.float()


@torch.no_grad()
def _error(autoencoder: Autoencoder, vectors: Tensor) -> float:
    return float(mse_loss(autoencoder(vectors), vectors))


def _state(autoencoder: Autoencoder) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in autoencoder.state_dict().items()}


@torch.no_grad()
def encode_all(autoencoder: Autoencoder, vectors: Tensor) -> Tensor:
    """Codes of many heads, some at a time."""
    return torch.cat([autoencoder.encode(_floats(part)) for part in vectors.split(4096)])
