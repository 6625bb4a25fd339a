"""The record of one forward pass."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ..capture.calls import AttentionCall
from ..errors import StaleTraceError
from ..models import VisionTransformer
from ..models.eval_mode import evaluating
from ..models.head_index import Heads
from ..models.token_layout import TokenLayout
from ..models.weights_state import WeightsState, hooks_of
from ..support.module_tree import modules_of
from .layer_record import LayerRecord
from .masking import masked_blocks
from .read_tokens import ReadTokens

__all__ = ["ForwardPass", "autocast_dtype"]


@dataclass(frozen=True, eq=False)
class ForwardPass:
    """One recorded forward pass of a model.

    Attributes
    ----------
    model : VisionTransformer
    inputs : Tensor
        Model inputs, [batch, 3, height, width].
    logits : Tensor
        [batch, class]; part of the autograd graph if one was kept.
    tokens : TokenLayout
        Where each token lies.
    layers : list of LayerRecord
    pools : tuple of AttentionCall
        The attention calls after all blocks, with which some models pool their tokens.
    read : ReadTokens
        The tokens of the last block that feed the logits.
    head_mask : dict
        Masked heads, ``{layer: (heads)}``.
    autocast : torch.dtype or None
        The dtype of the autocast region it ran in, if any.
    weights : WeightsState
        Of the model when it was run.
    hooks : tuple
        Those on it then.
    preparation : str
        How the images became model input, and on what ground.
    graph_breaks : tuple of str
        Paths of modules in which tensors left the autograd graph, so that gradients would miss
        what went through them. Empty for a pass without gradients.
    """

    model: VisionTransformer
    inputs: Tensor
    logits: Tensor
    tokens: TokenLayout
    layers: list[LayerRecord]
    pools: tuple[AttentionCall, ...]
    read: ReadTokens
    head_mask: Heads
    autocast: torch.dtype | None
    weights: WeightsState
    preparation: str = ""
    graph_breaks: tuple[str, ...] = ()
    hooks: tuple[object, ...] = ()
    _same_with: list[tuple[object, ...]] = field(default_factory=list, repr=False)

    @property
    def batch_size(self) -> int:
        """Number of images."""
        return int(self.logits.shape[0])

    @property
    def num_layers(self) -> int:
        """Number of blocks."""
        return len(self.layers)

    @property
    def has_gradients(self) -> bool:
        """Whether the autograd graph was kept."""
        return any(record.out.requires_grad for record in self.layers)

    def check_weights(self) -> None:
        """Raise :class:`StaleTraceError` if the model has changed since it was run."""
        modules = modules_of(self.model.model)
        self.weights.check(self.model.model, self.model.name, modules)
        now = hooks_of(self.model.model, modules)
        if now == self.hooks or now in self._same_with:
            return
        if not self._gives_the_same():
            raise StaleTraceError(
                f"{self.model.name} is no longer the model that was traced: hooks on it came or "
                "went, and it gives other logits. Trace again."
            )
        self._same_with.append(now)

    def _gives_the_same(self) -> bool:
        """Whether the model, run as before, gives the recorded logits."""
        vit = self.model
        blocks = {block: layer for layer, block in enumerate(vit.blocks)}
        masked = masked_blocks(vit.model, blocks, self.head_mask, token_first=vit.token_first)
        with self.as_before(), torch.inference_mode(False), torch.no_grad(), masked:
            logits = vit.forward(self.inputs)
        if not torch.isfinite(logits).all():
            return True  # nothing changed silently: whoever runs it again refuses these
        before = self.logits.detach()
        rounding = 1e-4 if before.dtype in (torch.float32, torch.float64) else 1e-2
        return bool((logits - before).norm() <= rounding * before.norm().clamp_min(1e-12))

    def rerunning(self) -> AbstractContextManager[None]:
        """Run parts of the model again, in the same modes (autocast, evaluation) as before.

        Raises
        ------
        StaleTraceError
            If the model has changed since, so that its parts no longer go with the record.
        """
        self.check_weights()
        return self.as_before()

    @contextmanager
    def as_before(self) -> Iterator[None]:
        """The same where :meth:`check_weights` has just been called."""
        autocast = torch.autocast(
            self.inputs.device.type, self.autocast, enabled=self.autocast is not None
        )
        with evaluating(self.model.model), autocast:
            yield


def autocast_dtype(device: torch.device) -> torch.dtype | None:
    """The current autocast dtype of a device, or None if autocast is off."""
    if not torch.is_autocast_enabled(device.type):
        return None
    return torch.get_autocast_dtype(device.type)
