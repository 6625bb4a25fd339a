"""A Vision Transformer of any origin, by saying where its blocks, tokens and readout are."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor, nn

from ..errors import ImageError
from .patch_places import first_patch
from .preparation import Normalization, Preparation, resized_and_cropped
from .residual_blocks import finish_block, heads_of
from .token_layout import TokenLayout
from .vision_transformer import VisionTransformer

__all__ = ["AdaptedVisionTransformer", "pair"]


class AdaptedVisionTransformer(VisionTransformer):
    """A model whose blocks, tokens and readout were told; see :func:`.adapt`."""

    library = "adapted"

    def __init__(
        self,
        model: nn.Module,
        blocks: Sequence[nn.Module],
        readout: Callable[[Tensor], Tensor],
        *,
        patch_size: int | tuple[int, int],
        prefix: tuple[str, ...],
        pool: str,
        num_classes: int,
        image_size: int | tuple[int, int],
        normalization: Normalization,
        project: Callable[[Tensor], Tensor] | None = None,
        forward: Callable[[Tensor], Tensor] | None = None,
        class_names: Sequence[str] | None = None,
        num_heads: tuple[int, ...] | None = None,
        rows: tuple[int, ...] | None = None,
        any_size: bool = False,
        crop: float = 1.0,
        preparation: Preparation | None = None,
        channels: int = 3,
        name: str | None = None,
    ) -> None:
        self.model, self.channels = model, channels
        self.name = name or type(model).__name__
        self.blocks = list(blocks)
        self.num_heads = num_heads or tuple(heads_of(block) for block in self.blocks)
        self.num_classes = num_classes
        self.names = None if class_names is None else [str(name) for name in class_names]
        self.readout_kind = pool
        self.readout_rows = rows or ((0,) if pool == "class" else None)
        self._patch = pair(patch_size)
        self._prefix = tuple(prefix)
        self._readout, self._project, self._forward = readout, project, forward or model
        self._size, self._any_size = pair(image_size), any_size
        self.preparation = preparation or resized_and_cropped(
            self._size,
            normalization,
            "image_size, mean and std of vaw.adapt",
            crop=crop,
            channels=channels,
            assumed=True,
        )

    def tokens(self, inputs: Tensor) -> TokenLayout:
        """Layout for inputs [batch, 3, height, width].

        Raises
        ------
        ImageError
            If the model was built for another size, or takes whole patches.
        """
        size = height, width = int(inputs.shape[-2]), int(inputs.shape[-1])
        if not self._any_size and size != self._size:
            raise ImageError(
                f"The input is {height} x {width} pixels, but {self.name} was built for "
                f"{self._size[0]} x {self._size[1]}: give it that size."
            )
        rows, cols = height // self._patch[0], width // self._patch[1]
        whole = rows * self._patch[0], cols * self._patch[1]
        if size not in (whole, self._size) or 0 in whole:
            raise ImageError(
                f"The input is {height} x {width} pixels, but {self.name} takes whole patches of "
                f"{self._patch[0]} x {self._patch[1]}: resize it to multiples of these."
            )
        return first_patch(self, TokenLayout(self._prefix, rows, cols, *self._patch), size)

    def forward(self, inputs: Tensor) -> Tensor:
        """The model's own forward pass, on a copy: some models normalize their input in place."""
        return self._forward(inputs.clone())

    def readout(self, tokens: Tensor) -> Tensor:
        """Logits (or features) of tokens as they leave a block."""
        return self._readout(tokens)

    def project(self, vector: Tensor) -> Tensor:
        """Logits of one vector, by reading out tokens that are all alike."""
        if self._project is not None:
            return self._project(vector)
        return self._readout(vector[:, None].expand(-1, len(self._prefix) + 1, -1))

    def finish_block(self, block: nn.Module, inputs: Tensor, head_outputs: Tensor) -> Tensor | None:
        """The rest of a block, if it is one of two residuals; see :mod:`.residual_blocks`."""
        return finish_block(block, inputs, head_outputs)

    def attend_rows(
        self, block: nn.Module, inputs: Tensor, rows: Sequence[int], bias: Tensor | None
    ) -> Tensor | None:
        """No short way is known."""
        return None


def pair(size: int | Sequence[int]) -> tuple[int, int]:
    """Height and width of a size that may be one number."""
    height, width = (size, size) if isinstance(size, int) else size
    return int(height), int(width)
