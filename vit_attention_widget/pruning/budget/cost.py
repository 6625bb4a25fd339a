"""What a smaller model costs, beside the whole one: accuracy, parameters, FLOPs, forward time."""

from __future__ import annotations

import copy
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from ...models import VisionTransformer
from ...models.eval_mode import evaluating
from ...statistics.intervals import wilson_interval
from ..accuracy_result import Accuracy
from .copies import described_copy
from .sets import Labeled

__all__ = ["Quantity", "Race", "accuracies", "devices_of", "flops", "parameters", "sizes"]

_AT_ONCE = 8
_ROUNDS = 9

Three = tuple[float, float, float]
"""A value and its interval; NaN for none."""


@dataclass(frozen=True)
class Quantity:
    """One thing of the whole model and of the smaller one, and their ratio."""

    name: str
    whole: Three
    pruned: Three
    ratio: float


def accuracies(whole: Accuracy, pruned: Accuracy) -> Quantity:
    """Shares of the same images, each with Wilson's interval of 95 %."""
    before, after = (
        (float(share), *wilson_interval(share * share.done, share.done))
        for share in (whole, pruned)
    )
    return Quantity("accuracy", before, after, after[0] / before[0] if before[0] else float("nan"))


def sizes(whole: VisionTransformer, small: VisionTransformer, images: Labeled) -> list[Quantity]:
    """Parameters, and the FLOPs of one image's forward pass."""
    image = images[0][0][None]
    return [
        _exact("parameters", parameters(whole.model), parameters(small.model)),
        _exact("FLOPs", flops(whole, image), flops(small, image)),
    ]


def parameters(model: nn.Module) -> int:
    """How many there are; those that are shared count once."""
    return sum(parameter.numel() for parameter in model.parameters())


def flops(vit: VisionTransformer, image: Tensor) -> int:
    """Floating point operations of a forward pass; a multiplication and an addition are two.

    By PyTorch's counter: matrix products and convolutions. Attention is written out for it, since
    it does not know every fused kernel, nor the short cut of ``nn.MultiheadAttention``.
    """
    inputs = image.to(vit.device, vit.dtype)
    counter, short_cut = FlopCounterMode(display=False), torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with evaluating(vit.model), torch.no_grad(), sdpa_kernel(SDPBackend.MATH), counter:
            vit.forward(inputs)
    finally:
        torch.backends.mha.set_fastpath_enabled(short_cut)
    return int(counter.get_total_flops())


def _exact(name: str, whole: float, pruned: float) -> Quantity:
    nan = float("nan")
    return Quantity(name, (whole, nan, nan), (pruned, nan, nan), pruned / whole)


def devices_of(vit: VisionTransformer) -> list[str]:
    """Where to time: on the model's own device, the CPU, and a GPU if there is one."""
    gpu = ["cuda"] if torch.cuda.is_available() else []
    return list(dict.fromkeys([vit.device.type, "cpu", *gpu]))


class Race:
    """Forward passes of the whole model and of smaller ones, in turn, on some images.

    What slows one pass of a round slows the other too, so the ratio within a round says more than
    a time does.
    """

    def __init__(self, whole: VisionTransformer, images: Labeled, device: str) -> None:
        self._device, self._original = device, whole
        self._whole = self._ready(whole.model)
        inputs = torch.stack([image for image, _ in images[:_AT_ONCE]])
        self._inputs = inputs.to(device, whole.dtype)

    def against(self, small: nn.Module, rounds: int = _ROUNDS) -> Quantity:
        """Median seconds of both, with quartiles, and the median of the rounds' ratios."""
        both = self._whole, self._ready(small)
        for model in both:
            self._seconds(model)
        taken = [tuple(self._seconds(model) for model in both) for _ in range(rounds)]
        before, after = zip(*taken, strict=True)
        ratio = statistics.median(small / whole for whole, small in taken)
        return Quantity(f"seconds ({self._device})", _median(before), _median(after), ratio)

    def _ready(self, model: nn.Module) -> VisionTransformer:
        """A copy in evaluation mode: PyTorch's own switch, so that nothing but the model runs."""
        return described_copy(copy.deepcopy(model).to(self._device).eval(), self._original)

    def _seconds(self, vit: VisionTransformer) -> float:
        self._wait()
        start = time.perf_counter()
        with torch.inference_mode():
            vit.forward(self._inputs)
        self._wait()
        return time.perf_counter() - start

    def _wait(self) -> None:
        if self._device == "cuda":
            torch.cuda.synchronize()


def _median(seconds: Sequence[float]) -> Three:
    low, median, high = statistics.quantiles(seconds, n=4)
    return median, low, high
