"""One pass of a copy of a model, in which every linear layer of its blocks is seen."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from ...capture.function_mode import AttentionCall, Capture
from ...models import VisionTransformer
from ...models.eval_mode import evaluating

__all__ = ["Seen", "probe_inputs", "watch"]


@dataclass
class Seen:
    """What happened in one block.

    Attributes
    ----------
    attention : list of AttentionCall
    linear : dict
        Input and output of each linear layer.
    returned : dict
        What each module returned that holds linear layers.
    """

    attention: list[AttentionCall] = field(default_factory=list)
    linear: dict[nn.Linear, tuple[Tensor, Tensor]] = field(default_factory=dict)
    returned: dict[nn.Module, Any] = field(default_factory=dict)


def watch(
    copy: nn.Module, blocks: Mapping[int, nn.Module], run: Callable[[], object]
) -> dict[int, Seen]:
    """Run a copy by ``run()`` and see what its blocks do; its hooks are taken off again.

    Parameters
    ----------
    copy : nn.Module
    blocks : mapping of int to nn.Module
        Those to look at, by layer.
    run : callable
    """
    seen = {layer: Seen() for layer in blocks}
    handles = [
        module.register_forward_hook(_noting(seen[layer]))
        for layer, block in blocks.items()
        for module in block.modules()
    ]
    try:
        numbers = {block: layer for layer, block in blocks.items()}
        with evaluating(copy), torch.no_grad(), Capture(copy, numbers) as capture:
            run()
    finally:
        for handle in handles:
            handle.remove()
    for call in capture.attention_calls:
        if call.block is not None:
            seen[call.block].attention.append(call)
    return seen


def _noting(seen: Seen) -> Callable[[Any, Any, Any], None]:
    def note(module: nn.Module, given: tuple[Any, ...], returned: Any) -> None:
        if type(module) is nn.Linear:
            seen.linear[module] = given[0].detach(), returned.detach()
        elif any(type(child) is nn.Linear for child in module.children()):
            seen.returned[module] = returned

    return note


def probe_inputs(vit: VisionTransformer) -> Tensor:
    """Two images of noise as the model takes them, [2, channel, height, width]."""
    noise = torch.Generator().manual_seed(0)
    height, width = vit.input_size
    inputs = torch.randn(2, vit.channels, height, width, generator=noise)
    return inputs.to(vit.device, vit.dtype)
