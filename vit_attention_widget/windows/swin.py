"""timm's Swin Transformers: their blocks, and how each cuts its grid into windows."""

from __future__ import annotations

from typing import Any

import timm.models as timm_models
from torch import Tensor, nn

from ..errors import ImageError, ParameterError, UnsupportedModelError
from ..models import describe
from ..models.timm.input import TimmInput, embedding
from ..models.timm.vision_transformer import described_or_why_not
from ..models.wrapped import note, unwrapped
from .layout import WindowLayout

__all__ = ["SwinTransformer", "describe_windows"]

# What they share: blocks that roll, pad, cut, attend and put together again, in that order.
_FAMILIES: tuple[type[nn.Module], ...] = (
    timm_models.swin_transformer.SwinTransformer,
    timm_models.swin_transformer_v2.SwinTransformerV2,
    timm_models.swin_transformer_v2_cr.SwinTransformerV2Cr,
)


def describe_windows(model: object) -> SwinTransformer:
    """Describe a model with attention in shifted windows.

    Raises
    ------
    UnsupportedModelError
        If it is not a Swin Transformer of timm.
    ParameterError
        If ``model`` is not a module at all.
    """
    example = 'timm.create_model("swin_tiny_patch4_window7_224", pretrained=True)'
    if not isinstance(model, nn.Module):
        raise ParameterError(
            f"The model is a {type(model).__name__}, but a Swin Transformer of timm was expected, "
            f"e.g. {example}."
        )
    model, wrappers = unwrapped(model)
    if isinstance(model, _FAMILIES):
        swin = SwinTransformer(model)
        swin.name += note(wrappers)
        return swin
    raise UnsupportedModelError(
        f"{type(model).__name__} is no Swin Transformer of timm (SwinTransformer, "
        f"SwinTransformerV2, SwinTransformerV2Cr): {_what_else(model)}. Use e.g. {example}."
    )


def _what_else(model: nn.Module) -> str:
    from_timm = any(base.__module__.startswith("timm.") for base in type(model).__mro__)
    try:
        described = described_or_why_not(model) if from_timm else describe(model)
    except UnsupportedModelError as error:
        others = "how others cut and shift windows is not known"
        return str(error).rstrip(".") if from_timm else others
    if isinstance(described, str):
        return described
    return "its attention is global, and vaw.trace(model, images).attention(layer) has it"


class SwinTransformer(TimmInput):
    """A Swin Transformer of timm, first or second version.

    Attributes
    ----------
    model : nn.Module
    name : str
    blocks : list of nn.Module
        All blocks, first to last.
    stages : list of int
        Stage of each block.
    """

    def __init__(self, model: Any) -> None:
        self.model = model
        config = getattr(model, "pretrained_cfg", None) or {}
        self.name: str = dict(config).get("architecture") or type(model).__name__
        stages = model.stages if hasattr(model, "stages") else model.layers
        self.blocks: list[nn.Module] = [block for stage in stages for block in stage.blocks]
        self.stages = [i for i, stage in enumerate(stages) for _ in stage.blocks]

    def check_size(self, inputs: Tensor) -> None:
        """Raise :class:`ImageError` unless the patch embedding takes [batch, 3, height, width]."""
        height, width = inputs.shape[-2:]
        embed = embedding(self.model)
        if getattr(embed, "strict_img_size", True):
            if (height, width) != tuple(embed.img_size):
                raise ImageError(
                    f"The input is {height} x {width} pixels, but {self.name} was built for "
                    f"{embed.img_size[0]} x {embed.img_size[1]}: give it that size, or create the "
                    "model with img_size=... or strict_img_size=False."
                )
        elif height % embed.patch_size[0] or width % embed.patch_size[1]:
            raise ImageError(
                f"The input is {height} x {width} pixels, but {self.name} takes whole patches of "
                f"{embed.patch_size[0]} x {embed.patch_size[1]}: resize it to multiples of these."
            )

    def patch(self, stage: int) -> tuple[int, int]:
        """Height and width in pixels of what a token of a stage stands for; each stage halves."""
        height, width = embedding(self.model).patch_size
        return int(height) << stage, int(width) << stage

    def layout(self, block: int, rows: int, cols: int) -> WindowLayout:
        """How a block cuts a grid of ``rows`` x ``cols`` tokens."""
        module: Any = self.blocks[block]
        height, width = module.window_size
        down, right = module.shift_size
        return WindowLayout(rows, cols, (int(height), int(width)), (int(down), int(right)))
