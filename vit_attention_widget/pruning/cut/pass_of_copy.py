"""One pass of a copy of a model, in which every linear layer of its blocks is seen."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from ...capture.calls import AttentionCall
from ...capture.function_mode import Capture
from ...capture.parts_in_turn import PartsInTurn
from ...models.eval_mode import evaluating

__all__ = ["Seen", "layers_of", "watch"]


@dataclass
class Seen:
    """What happened in one block.

    Attributes
    ----------
    attention : list of AttentionCall
    linear : dict
        Input and output of each linear layer.
    called : dict
        What each module that holds linear layers was given first, and what it returned.
    """

    attention: list[AttentionCall] = field(default_factory=list)
    linear: dict[nn.Linear, tuple[Tensor, Tensor]] = field(default_factory=dict)
    called: dict[nn.Module, tuple[object, object]] = field(default_factory=dict)


def layers_of(blocks: Mapping[int, nn.Module]) -> dict[nn.Module, int]:
    """The layer of each block, as a pass is observed; lists of modules never run by themselves."""
    return {
        PartsInTurn(block) if isinstance(block, nn.ModuleList) else block: layer
        for layer, block in blocks.items()
    }


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
        module.register_forward_hook(_noting(seen[layer]), with_kwargs=True)
        for layer, block in blocks.items()
        for module in block.modules()
    ]
    try:
        with evaluating(copy), torch.no_grad(), Capture(copy, layers_of(blocks)) as capture:
            run()
    finally:
        for handle in handles:
            handle.remove()
    for call in capture.attention_calls:
        if call.block is not None:
            seen[call.block].attention.append(call)
    return seen


def _noting(
    seen: Seen,
) -> Callable[[nn.Module, tuple[object, ...], dict[str, object], object], None]:
    def note(
        module: nn.Module, args: tuple[object, ...], kwargs: dict[str, object], returned: object
    ) -> None:
        first = args[0] if args else next(iter(kwargs.values()), None)
        if type(module) is nn.Linear and isinstance(first, Tensor) and isinstance(returned, Tensor):
            seen.linear[module] = first.detach(), returned.detach()
        elif any(type(child) is nn.Linear for child in module.children()):
            seen.called[module] = first, returned

    return note
