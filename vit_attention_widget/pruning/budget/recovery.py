"""Train a pruned model for a short while, so that what is left makes up for the heads."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, one_hot
from torch.utils.data import DataLoader

from ...errors import ParameterError
from ...models import VisionTransformer
from ...models.output_kind import class_logits
from ...support.progress import Progress, no_progress
from ...tracing.masking import masked_heads
from ..cut.run import prune_heads
from .copies import described_copy, unused_heads, with_heads_seen
from .sets import Labeled

__all__ = ["FineTuning", "Recovery", "recover"]

Recovery: TypeAlias = Callable[[nn.Module, Labeled], nn.Module | None]
"""A function of the smaller model and the images that it learns from, which trains it.

The images are a list of (model input [channel, height, width], class index), which a
``torch.utils.data.DataLoader`` takes as it is. What it returns is taken for the model, or the model
itself where it returns None.
"""


@dataclass(frozen=True)
class FineTuning:
    """A short training by AdamW: a brief warm-up of the learning rate, then a linear decay to 0.

    Attributes
    ----------
    epochs : int
        How often each image is seen.
    learning_rate : float
        The highest.
    batch : int
        Images a step.
    weight_decay : float
        Of matrices; norms and biases have none.
    seed : int
        Of the order of the images, and of dropout; the global random state stays as it was.
    """

    epochs: int = 3
    learning_rate: float = 1e-4
    batch: int = 32
    weight_decay: float = 0.01
    seed: int = 0

    def train(
        self, vit: VisionTransformer, data: Labeled, progress: Progress = no_progress
    ) -> None:
        """Train all parameters of a described model in place, in float32 at least.

        Cross-entropy of each image's class; by sigmoid the binary one of all classes.
        """
        model, dtype = vit.model, vit.dtype
        modes = {module: module.training for module in model.modules()}
        frozen = [p for p in model.parameters() if not p.requires_grad]
        model.train().requires_grad_(True)
        if dtype in (torch.float16, torch.bfloat16):  # steps smaller than rounding would be lost
            model.float()
        gpus = [vit.device] if vit.device.type == "cuda" else []
        try:
            with torch.random.fork_rng(gpus), torch.enable_grad():
                torch.manual_seed(self.seed)
                self._steps(vit, data, progress)
        finally:
            model.to(dtype).zero_grad(set_to_none=True)
            for parameter in frozen:
                parameter.requires_grad_(False)
            for module, mode in modes.items():
                module.training = mode

    def _steps(self, vit: VisionTransformer, data: Labeled, progress: Progress) -> None:
        loader: DataLoader[tuple[Tensor, Tensor]] = DataLoader(
            data,  # type: ignore[arg-type]  # a list is a data set
            self.batch,
            shuffle=True,
        )
        parameters = list(vit.model.parameters())
        vectors = {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0}
        groups: list[dict[str, Any]] = [
            {"params": [p for p in parameters if p.ndim > 1], "weight_decay": self.weight_decay},
            vectors,
        ]
        optimizer = torch.optim.AdamW(groups, lr=self.learning_rate)
        total, done = self.epochs * len(loader), 0
        for _ in range(self.epochs):
            for images, labels in loader:
                rate = self.learning_rate * min(1.0, 10 * (done + 1) / total) * (1 - done / total)
                for group in optimizer.param_groups:
                    group["lr"] = rate
                logits = vit.forward(images.to(vit.device, vit.dtype))
                loss = _loss(logits, labels.to(vit.device), vit)
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                nn.utils.clip_grad_norm_(parameters, 1.0)
                optimizer.step()
                done += 1
                progress(done / total, f"recovering: step {done} of {total}")


def _loss(logits: Tensor, labels: Tensor, vit: VisionTransformer) -> Tensor:
    logits = class_logits(logits, vit.output)
    if vit.output == "softmax":
        return cross_entropy(logits, labels)
    return binary_cross_entropy_with_logits(logits, one_hot(labels, logits.shape[-1]).to(logits))


def recover(
    small: nn.Module,
    whole: VisionTransformer,
    data: Labeled,
    finetune: FineTuning | Recovery,
    progress: Progress,
) -> nn.Module:
    """A smaller model after its recovery; heads that it has but does not use stay unused.

    Raises
    ------
    ParameterError
        If the user's function returns something else than a model with the same heads.
    """
    described = with_heads_seen(described_copy(small, whole), data[0][0])
    unused = unused_heads(described, whole)
    if isinstance(finetune, FineTuning):
        with masked_heads(described, unused) if unused else nullcontext():
            finetune.train(described, data, progress)
        return small
    heads, pruning = described.num_heads, small._vaw_pruning
    returned = finetune(small, data)
    trained = small if returned is None else returned
    if not isinstance(trained, nn.Module):
        raise ParameterError(
            f"finetune returned {type(trained).__name__}: return the trained model, or None where "
            "the one that was given was trained."
        )
    now = with_heads_seen(described_copy(trained, whole), data[0][0]).num_heads
    if now != heads:
        raise ParameterError(
            f"finetune returned a model of {sum(now)} heads, but was given one of {sum(heads)}: "
            "train the model that it is given."
        )
    trained.to(whole.device).train(whole.model.training)._vaw_pruning = pruning
    if unused:
        trained = prune_heads(trained, unused)
        trained._vaw_pruning = pruning
    return trained
