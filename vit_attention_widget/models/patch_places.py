"""Where the first patch begins in the picture: measured on what comes before the blocks.

A patch embedding may pad the picture, leave out its edge, or let patches overlap, by its own
convolution or by any code before it. Which pixels reach the first and the last token is seen by
their gradient; their middle is where the token lies.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Any
from weakref import WeakKeyDictionary

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from ..capture.eager import eagerly
from ..capture.function_mode import Capture
from ..errors import UnsupportedModelError
from .eval_mode import evaluating
from .token_layout import TokenLayout
from .vision_transformer import VisionTransformer

__all__ = ["first_patch"]

_Span = tuple[int, int]
_MEASURED: WeakKeyDictionary[nn.Module, dict[object, tuple[float, float]]] = WeakKeyDictionary()
"""Top and left of the first patch, by all that they depend on."""
_PASSED = {
    *(F.group_norm, F.instance_norm),  # by which each pixel reaches every token a little
    *(F.relu, F.relu6, F.hardtanh, torch.relu, torch.relu_, Tensor.relu, Tensor.relu_),
    *(torch.clamp, torch.clamp_, Tensor.clamp, Tensor.clamp_, Tensor.clip, Tensor.clip_),
    *(torch.detach, Tensor.detach, torch.round, Tensor.round),
}
"""What gradients pass as if it were not there: where it lets pixels through or not is no matter of
their places."""


def first_patch(
    vit: VisionTransformer, layout: TokenLayout, size: tuple[int, int], besides: object = None
) -> TokenLayout:
    """A layout of patches in their order, placed on a picture of ``size`` pixels.

    ``besides`` is what places depend on besides the model's convolutions.

    Where every pixel reaches every token, or no gradient reaches the pixels, places cannot be seen:
    the first patch begins at the top left then.

    Raises
    ------
    UnsupportedModelError
        If patches follow each other at another distance than that of the layout, or backwards.
    """
    key = (*_convolutions(vit), layout, size, besides)
    measured = _MEASURED.setdefault(vit.model, {})
    if key not in measured:
        measured[key] = _measure(vit, layout, size)
    top, left = measured[key]
    return replace(layout, top=top, left=left, picture=size)


def _convolutions(vit: VisionTransformer) -> list[object]:
    """What decides which pixels a token is made of, as far as modules say it."""
    inside = {part for block in vit.blocks for part in block.modules()}
    return [
        (type(m), m.kernel_size, m.stride, m.padding, m.dilation)
        for m in vit.model.modules()
        if isinstance(m, nn.Conv2d) and m not in inside
    ]


def _measure(
    vit: VisionTransformer, layout: TokenLayout, size: tuple[int, int]
) -> tuple[float, float]:
    """Top and left of the first patch in pixels."""
    last = layout.rows - 1, layout.cols - 1
    corners = [(0, 0), (min(1, last[0]), min(1, last[1])), last]
    spans = _spans(vit, [layout.token(*corner) for corner in corners], size, layout.num_tokens)
    if spans is None:
        return 0.0, 0.0
    axes = (
        (layout.rows, layout.patch_height, size[0]),
        (layout.cols, layout.patch_width, size[1]),
    )
    top, left = (_start([pair[axis] for pair in spans], *axes[axis], vit.name) for axis in (0, 1))
    return top, left


def _start(spans: list[_Span], count: int, patch: int, length: int, name: str) -> float:
    """Where the first patch begins on an axis.

    ``spans`` are the pixels of the first, second and last patch. A side of the picture cuts off
    what lies in the padding, so of the first the end is taken, of the last the beginning.
    """
    (begin, first), (_, second), (last, _) = spans
    if begin > last:
        raise UnsupportedModelError(
            f"The tokens of {name} are not its patches row by row: the first is made of pixels "
            f"{begin} to {first} of an axis, the last of those from {last} on. Tokens in another "
            "order cannot be shown."
        )
    if count == 1 or first >= length or last <= 0:
        return 0.0
    step = second - first
    if second < length and step != patch:
        raise UnsupportedModelError(
            f"The patches of {name} follow each other every {step} pixels of its input, not every "
            f"{patch}: its own code seems to resize the input. Resize pictures before "
            "(transform=...) and give the part of the model behind that; or say patch_size=... by "
            "vaw.adapt(...) if the patches are of another size."
        )
    return (first + last - count * patch) / 2


def _spans(
    vit: VisionTransformer, tokens: list[int], size: tuple[int, int], num_tokens: int
) -> list[tuple[_Span, _Span]] | None:
    """First row of pixels that reaches each token, the one after the last, and so of columns."""
    parameter = next(vit.model.parameters())
    noise = torch.randn(vit.channels, *size, generator=torch.Generator().manual_seed(0))
    like = parameter if parameter.is_floating_point() else noise
    image = noise.to(like)[None].requires_grad_()  # one: some code is followed for one alone
    index: dict[nn.Module, int] = {vit.blocks[0]: 0}
    capture = Capture(vit.model, index, on_block=_stop, token_first=vit.token_first)
    try:
        with (
            evaluating(vit.model), torch.inference_mode(False), torch.enable_grad(), eagerly(),
        ):  # fmt: skip
            try:
                with capture, _Local():
                    vit.forward(image)
            except _Enough:
                pass
            seen = capture.block_calls[0].input if 0 in capture.block_calls else None
            if seen is None or seen.ndim != 3 or seen.shape[1] != num_tokens:
                return None
            reached = [_reached(seen[0, token], image) for token in tokens]
            return [(_span(pixels.any(1)), _span(pixels.any(0))) for pixels in reached]
    # A model that takes no such images says so when it is traced. Quantized layers pass nothing.
    except torch.OutOfMemoryError:
        raise
    except (RuntimeError, ValueError, TypeError, AssertionError, IndexError, KeyError):
        return None


def _reached(token: Tensor, image: Tensor) -> Tensor:
    """Which pixels reach a token, [row, col] bool."""
    weights = torch.randn(token.shape, generator=torch.Generator().manual_seed(1)).to(token)
    (gradient,) = torch.autograd.grad((token * weights).sum(), image, retain_graph=True)
    return (gradient != 0).any(1)[0]


def _span(reached: Tensor) -> _Span:
    places = reached.nonzero().flatten().tolist()
    return places[0], places[-1] + 1


class _Enough(Exception):  # noqa: N818
    """The first block has run."""


def _stop(layer: int) -> None:
    raise _Enough


class _Local(TorchFunctionMode):
    """Lets every pixel pass that a token is made of, and gradients weights made for inference."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Collection[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        if func in _PASSED and args and args[0].requires_grad:
            return args[0]
        if func is torch._C._set_grad_enabled:  # no_grad
            return None
        kwargs = {name: _for_gradients(value) for name, value in (kwargs or {}).items()}
        if func is F.max_pool2d:
            return _average(*args, **kwargs)
        return func(*map(_for_gradients, args), **kwargs)


def _average(
    images: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0, *_: Any, **__: Any
) -> Tensor:
    """All pixels of a window, where a maximum is of one; borders may be -inf."""
    return F.avg_pool2d(images.nan_to_num(neginf=0.0), kernel_size, stride, padding)


def _for_gradients(value: object) -> object:
    return value.clone() if isinstance(value, Tensor) and value.is_inference() else value
