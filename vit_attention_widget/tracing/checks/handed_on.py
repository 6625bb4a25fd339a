"""Blocks hand nothing on but what they return: no attribute, hook or closure carries more."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ...errors import UnsupportedModelError
from ...support.module_tree import modules_of
from ..forward_pass import ForwardPass
from ..masking import masked_blocks
from ..memory import is_out_of_memory
from .tried import Tried

__all__ = ["check_nothing_is_handed_on", "is_same"]

_WELL_KNOWN = ("timm", "torch", "torchvision")
"""Whose blocks keep nothing for each other."""


def check_nothing_is_handed_on(recorded: ForwardPass) -> None:
    """Raise unless each block, run again by itself, returns what it did in the recorded pass.

    One block may write an attribute that a later one reads. What stands there is of the last pass,
    whatever images that had. So other images are run, and then each block on its recorded input,
    the last one first: those below have not written anew then. This is tried once for each state
    of a model's weights, and not of models that are timm's or PyTorch's code alone.

    Raises
    ------
    UnsupportedModelError
        If a block returns something else.
    """
    other = _OTHER.of(recorded)
    if other is not None:
        raise UnsupportedModelError(
            f"Block {other} of {recorded.model.name} returns something else when it is run again "
            "by itself on the same tokens, after the model has seen other images: it reads what "
            "another block or the embedding has left in an attribute, or draws random numbers. "
            "Its layers cannot be run again by themselves: hand tensors from block to block as "
            "arguments. Or use what does not need that: daam, gmar, rollout, attention, or "
            'metric="taylor".'
        )


def is_same(again: Tensor, before: Tensor) -> bool:
    """Whether values are equal but for what little rounding the same operations leave."""
    rounding = {torch.float64: 1e-10, torch.float32: 1e-5}.get(before.dtype, 1e-2)
    return bool((again - before).norm() <= rounding * before.norm())


def _is_well_known(module: nn.Module) -> bool:
    return type(module).__module__.partition(".")[0] in _WELL_KNOWN


def _block_that_needs_more(recorded: ForwardPass) -> int | None:
    if not recorded.hooks and all(map(_is_well_known, modules_of(recorded.model.model))):
        return None
    vit, blocks = recorded.model, {block: i for i, block in enumerate(recorded.model.blocks)}
    masked = masked_blocks(vit.model, blocks, recorded.head_mask, token_first=vit.token_first)
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(recorded.inputs.shape, generator=generator).to(recorded.inputs)
    with recorded.rerunning(), torch.inference_mode(False), torch.no_grad():
        vit.forward(recorded.inputs / 2 + noise)
        with masked:
            for layer in reversed(range(recorded.num_layers)):
                record = recorded.layers[layer]
                try:
                    again = record.block.rerun(vit.blocks[layer], record.input)
                except (RuntimeError, ValueError, TypeError, AttributeError, LookupError) as error:
                    if is_out_of_memory(error):
                        raise
                    return layer
                if again.shape != record.output.shape or not is_same(again, record.output):
                    return layer
    return None


_OTHER = Tried(_block_that_needs_more)
"""The block of a model that needs more than it is given; None if none does."""
