"""A copy of a model in double precision, on which a cut is found and tried.

In half precision a wrong cut could pass for rounding.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping

import torch
from torch import Tensor, nn

from ...capture.attention_product import is_close
from ...capture.parts_in_turn import PartsInTurn
from ...errors import UnsupportedModelError, VitAttentionError
from ...models import VisionTransformer, describe
from ...models.eval_mode import evaluating
from ...models.head_index import Heads
from ...tracing.masking import masked_blocks
from .pass_of_copy import Seen, layers_of, watch

__all__ = ["Trial", "blocks_of_copy", "cannot_cut"]


class Trial:
    """A copy of a model, and what it decides about noise while heads are masked.

    Parameters
    ----------
    vit : VisionTransformer
        Described; its model is not changed.
    heads : mapping of int to sequence of int
        To be cut, by layer.

    Raises
    ------
    UnsupportedModelError
        If the copy runs neither in float64 nor in float32, or does not return a tensor.
    """

    def __init__(self, vit: VisionTransformer, heads: Heads) -> None:
        self._vit = vit
        try:
            self._start(heads, torch.float64)
        except RuntimeError:  # code that names a type of its own
            try:
                self._start(heads, torch.float32)
            except RuntimeError as error:
                raise UnsupportedModelError(
                    f"{vit.name} cannot be pruned for good: a cut is tried in float64 or float32, "
                    f"and in neither does a copy run ({error}). Mask its heads instead "
                    "(masked_heads)."
                ) from error

    def _start(self, heads: Heads, dtype: torch.dtype) -> None:
        vit = self._vit
        device = torch.device("cpu") if vit.device.type == "mps" else vit.device
        model = copy.deepcopy(vit.model).to(device)
        self.model = model.double() if dtype is torch.float64 else model.float()
        noise = torch.Generator().manual_seed(0)
        images = torch.randn(2, vit.channels, *vit.input_size, generator=noise, dtype=dtype)
        self._images = images.to(device)
        self.blocks = blocks_of_copy(vit, self.model, heads)
        forward, layers = self._forward(), layers_of(self.blocks)
        with (
            evaluating(self.model),
            torch.no_grad(),
            masked_blocks(self.model, layers, heads, token_first=vit.token_first),
        ):
            self._masked = forward(self._images)

    def _forward(self) -> Callable[[Tensor], Tensor]:
        """How the copy, as it is now, is called for logits."""
        if self._vit.library == "adapted":  # its parts were said of the original alone
            model, name = self.model, self._vit.name

            def forward(images: Tensor) -> Tensor:
                output = model(images)
                if not isinstance(output, Tensor):
                    kind = type(output).__name__
                    raise UnsupportedModelError(
                        f"{name} returns a {kind}, not a tensor: heads cannot be cut."
                    )
                return output

            return forward
        return describe(self.model).forward

    def look(self, layers: Iterable[int]) -> dict[int, Seen]:
        """What the blocks of these layers do, each of which must compute attention once."""
        blocks, forward = {layer: self.blocks[layer] for layer in layers}, self._forward()
        seen = watch(self.model, blocks, lambda: forward(self._images))
        for layer in blocks:
            if len(seen[layer].attention) != 1:
                reason = "its attention was not observed, or several times"
                raise cannot_cut(self._vit, layer, reason)
        return seen

    def check(self) -> None:
        """Raise UnsupportedModelError unless the copy, cut by now, decides as the masked model."""
        try:
            forward = self._forward()
            with evaluating(self.model), torch.no_grad():
                logits = forward(self._images)
        except VitAttentionError:
            raise
        except Exception as error:  # the model's own code, which may count its heads elsewhere
            raise UnsupportedModelError(
                f"{self._vit.name} cannot be pruned for good: without these heads its code fails "
                f"({type(error).__name__}: {error}). Mask them instead (masked_heads)."
            ) from error
        if logits.shape != self._masked.shape or not is_close(logits, self._masked):
            raise UnsupportedModelError(
                f"{self._vit.name} cannot be pruned for good: without the weights of these heads "
                "it does not decide as it does where they are masked, so something else depends "
                "on them. Mask them instead (masked_heads)."
            )


def blocks_of_copy(
    vit: VisionTransformer, model: nn.Module, layers: Iterable[int]
) -> Mapping[int, nn.Module]:
    """Blocks of a copy of the described model.

    Of parts that run in turn, the model's own list of them: one that is replaced there is replaced
    in the copy.
    """
    paths = {module: path for path, module in vit.model.named_modules()}
    blocks = {layer: vit.blocks[layer] for layer in layers}
    return {
        layer: model.get_submodule(
            paths[block.parts[0]].rpartition(".")[0]
            if isinstance(block, PartsInTurn)
            else paths[block]
        )
        for layer, block in blocks.items()
    }


def cannot_cut(vit: VisionTransformer, layer: int, reason: str) -> UnsupportedModelError:
    """The error for a layer that cannot be pruned for good."""
    return UnsupportedModelError(
        f"Layer {layer} of {vit.name} cannot be pruned for good: {reason}. Mask its heads instead "
        "(masked_heads)."
    )
