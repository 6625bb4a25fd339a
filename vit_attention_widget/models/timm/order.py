"""Tokens of a timm model are where timm puts them: tried where others' code may move them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from ...capture.eager import eagerly
from ...capture.function_mode import Capture
from ...errors import UnsupportedModelError
from ...support.identity import identity_of
from ...support.module_tree import modules_of
from ..eval_mode import evaluating
from ..tried import marked_images, marked_tokens
from ..vision_transformer import VisionTransformer
from ..weights_state import hooks_of
from .input import embedding

__all__ = ["check_patch_order", "others_modules"]

_BETWEEN = ("pos_drop", "patch_drop", "norm_pre")
_OURS = ("timm", "torch")
_TRIED: WeakKeyDictionary[nn.Module, tuple[object, str]] = WeakKeyDictionary()
"""Why models with others' code are refused, "" where they are not, by that code."""


def check_patch_order(vit: VisionTransformer, shape: tuple[int, int, int]) -> None:
    """Raise unless patches come row by row after the prefix tokens.

    Of timm's own code this is known. Where a module before the blocks is another's, has hooks or a
    patched ``forward``, or a subclass places tokens, three marked patches are followed once.

    Parameters
    ----------
    vit : VisionTransformer
    shape : (int, int, int)
        Channels, height and width of its input.

    Raises
    ------
    UnsupportedModelError
        If they do not.
    """
    model: Any = vit.model
    others = tuple(_others_code(model))
    if not others:
        return
    before, why = _TRIED.get(model, (None, ""))
    if before != others:
        why = _why_not(vit, shape)
        _TRIED[model] = others, why
    if why:
        raise UnsupportedModelError(why)


def _others_code(model: Any) -> Iterator[object]:
    """What stands before the blocks and is not timm's or PyTorch's."""
    yield from others_modules(model)
    for number, holder in enumerate(_before_blocks(model)):
        yield from ((number, hooks) for hooks in hooks_of(holder))
    yield from model._forward_pre_hooks
    places = getattr(type(model), "_pos_embed", None)
    if "_pos_embed" in vars(model) or not getattr(places, "__module__", "timm").startswith("timm."):
        yield identity_of(vars(model).get("_pos_embed", places))


def others_modules(model: Any) -> Iterator[tuple[int, int, type[nn.Module]]]:
    """Modules before the blocks that are not timm's or PyTorch's: places and kinds."""
    for number, holder in enumerate(_before_blocks(model)):
        kinds = enumerate(map(type, modules_of(holder)))
        yield from ((number, place, kind) for place, kind in kinds if _is_others(kind))


def _before_blocks(model: Any) -> list[nn.Module]:
    between = (getattr(model, name, None) for name in _BETWEEN)
    return [embedding(model), *(part for part in between if isinstance(part, nn.Module))]


def _is_others(kind: type[nn.Module]) -> bool:
    return kind.__module__.partition(".")[0] not in _OURS


class _Enough(Exception):  # noqa: N818
    """The first block has run."""


def _why_not(vit: VisionTransformer, shape: tuple[int, int, int]) -> str:
    def stop(layer: int) -> None:
        raise _Enough

    parameter = next(vit.model.parameters())
    layout = vit.tokens(torch.empty(1, *shape, device="meta"))
    images = marked_images(shape, (layout.patch_height, layout.patch_width)).to(parameter)
    capture = Capture(vit.model, {vit.blocks[0]: 0}, on_block=stop)
    with (
        # A model that takes no such images says so when it is traced.
        suppress(_Enough, RuntimeError, ValueError, TypeError, AssertionError),
        evaluating(vit.model), torch.inference_mode(False), torch.no_grad(), eagerly(), capture,
    ):  # fmt: skip
        vit.forward(images)
    seen = capture.block_calls[0].input if capture.block_calls else None
    if not isinstance(seen, Tensor) or seen.ndim != 3 or len(seen) != len(images):
        return ""
    first = layout.num_prefix
    expected = (first, first + layout.cols - 1, first + layout.rows * layout.cols - 1)
    marked = marked_tokens(seen)
    if all(token in (None, place) for token, place in zip(marked, expected, strict=True)):
        return ""
    return (
        f"The tokens of {vit.name} are not its prefix tokens and then its patches row by row: the "
        f"patches at the top left, top right and bottom right are tokens {marked}, where "
        f"{expected} was expected. Code that is not timm's (a module, a hook or a method before "
        "the blocks) moves them, and tokens in another order cannot be shown."
    )
