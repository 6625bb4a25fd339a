"""A model run once on noise, to see what its blocks are given and how many heads attend."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..capture.calls import BlockCall
from ..capture.eager import eagerly
from ..capture.function_mode import Capture
from ..capture.parts_in_turn import PartsInTurn
from ..errors import UnsupportedModelError
from .eval_mode import evaluating

__all__ = ["Tried", "marked_images", "marked_tokens", "try_model"]


@dataclass(frozen=True)
class Tried:
    """What was seen.

    Attributes
    ----------
    num_tokens, dim : int
        Of what the blocks are given.
    num_heads : tuple of (int or None)
        Of each block; None where no attention was seen.
    token_first : bool
        Whether blocks are given [token, batch, dim].
    marked : tuple of (int or None)
        As which tokens three patches come to the blocks: the first, the last of the first row, the
        last of all. None where most tokens depend on them.
    moved : Tensor
        How much each of those patches changes each token, [patch, token].
    """

    num_tokens: int
    dim: int
    num_heads: tuple[int | None, ...]
    token_first: bool
    marked: tuple[int | None, ...]
    moved: Tensor


def try_model(
    model: nn.Module,
    blocks: Sequence[nn.Module],
    forward: Callable[[Tensor], Tensor],
    shape: tuple[int, int, int],
    patch: tuple[int, int],
    call: str,
) -> Tried:
    """Run a model on a few images.

    Parameters
    ----------
    model : nn.Module
    blocks : sequence of nn.Module
    forward : callable
        Runs it on images [batch, channel, height, width].
    shape : (int, int, int)
        Channels, height and width.
    patch : (int, int)
        Height and width.
    call : str
        What the user called, for errors.

    Raises
    ------
    UnsupportedModelError
        If it cannot be run so, a block does not run, they run in another order than they are
        listed, or are given anything but one sequence of tokens for each image.
    """
    name = type(model).__name__
    # One at a time: an axis of length 1 is that of the images, and cannot be taken for heads.
    captures = [_run(model, blocks, forward, image[None]) for image in marked_images(shape, patch)]
    capture = captures[0]
    ran = list(capture.block_calls)
    missing = [i for i in range(len(blocks)) if i not in ran]
    if missing:
        raise UnsupportedModelError(
            f"Of the {len(blocks)} blocks at {call}, those at {missing} did not run as "
            f"modules when {name} was run on images: list the modules of {name} that take tokens "
            "and return tokens, e.g. blocks=[layer for layer in model.layers]."
        )
    if ran != sorted(ran):
        raise UnsupportedModelError(
            f"The blocks at {call} ran in the order {ran} of their list: list them in the order in "
            f"which they run, e.g. blocks=[blocks[i] for i in {ran}]."
        )
    calls = [capture.block_calls[i] for i in ran]
    shapes = {tuple(block_call.input.shape) for block_call in calls}
    if len(shapes) > 1 or len(next(iter(shapes))) != 3 or 1 not in next(iter(shapes))[:2]:
        raise UnsupportedModelError(
            f"The blocks at {call} were given {[list(shape) for shape in shapes]} for one "
            "image, but [batch, token, dim] (or [token, batch, dim]) is needed, the same for all "
            "of them: windows, stages and maps of features are not one sequence of tokens."
        )
    first, _, dim = next(iter(shapes))
    token_first = first != 1
    _check_parts(blocks, calls, token_first, call)
    heads = {c.block: c.q.shape[-3] for c in capture.attention_calls if c.block is not None}
    of_each = tuple(heads.get(i) for i in range(len(blocks)))
    tokens = torch.cat([c.block_calls[0].input.reshape(1, -1, dim) for c in captures])
    marked, moved = marked_tokens(tokens), (tokens[1:] - tokens[:1]).norm(dim=-1)
    return Tried(tokens.shape[1], dim, of_each, token_first, marked, moved)


def marked_images(shape: tuple[int, int, int], patch: tuple[int, int]) -> Tensor:
    """Images of noise: those after the first differ from it in one patch each."""
    noise = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    images = noise.expand(4, *shape).clone()
    (_, height, width), (down, right) = shape, patch
    bottom, end = height // down * down, width // right * right
    for image, (top, left) in enumerate(
        ((0, 0), (0, end - right), (bottom - down, end - right)), start=1
    ):
        images[image, :, top : top + down, left : left + right] *= -1
    return images


def marked_tokens(tokens: Tensor) -> tuple[int | None, ...]:
    """The token of images 1 to 3 that differs most from that of image 0."""
    moved = (tokens[1:] - tokens[:1]).norm(dim=-1)
    share = (moved > 0).float().mean(1)
    pairs = zip(moved.argmax(1).tolist(), ((share == 0) | (share > 0.5)).tolist(), strict=True)
    return tuple(None if unclear else token for token, unclear in pairs)


def _run(
    model: nn.Module,
    blocks: Sequence[nn.Module],
    forward: Callable[[Tensor], Tensor],
    images: Tensor,
) -> Capture:
    parameter = next(model.parameters())
    index: dict[nn.Module, int] = {block: i for i, block in enumerate(blocks)}
    try:
        with (
            evaluating(model), torch.inference_mode(False), torch.no_grad(), eagerly(),
            Capture(model, index) as capture,
        ):  # fmt: skip
            output = forward(images.to(parameter))
    except (RuntimeError, ValueError, TypeError, AssertionError, IndexError, KeyError) as error:
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise UnsupportedModelError(
            f"{type(model).__name__} could not be run on images {list(images.shape)} "
            f"({reason}): say image_size=..., channels=..., or "
            "forward=lambda images: ... if it is called in another way."
        ) from error
    if not isinstance(output, Tensor) or output.ndim != 2 or len(output) != 1:
        seen = list(output.shape) if isinstance(output, Tensor) else type(output).__name__
        raise UnsupportedModelError(
            f"{type(model).__name__} returned {seen} for one image, but logits [1, "
            "class] are needed: say forward=lambda images: model(images)" + _part_of(output) + "."
        )
    return capture


def _part_of(output: object) -> str:
    """How to get at the logits in what a model returns, as far as that can be seen."""
    if hasattr(output, "logits"):
        return ".logits"
    if isinstance(output, dict):
        return f"[{next(iter(output), 'logits')!r}]"
    return "[0]" if isinstance(output, tuple | list) else "[:, 0], or what makes logits of it"


def _check_parts(
    blocks: Sequence[nn.Module], calls: Sequence[BlockCall], token_first: bool, call: str
) -> None:
    """Raise unless blocks that are lists of modules are run as residuals."""
    for block, block_call in zip(blocks, calls, strict=True):
        if not isinstance(block, PartsInTurn):
            continue
        with torch.no_grad():
            again = block_call.rerun(block, block_call.input)
        tolerance = 1e-4 * block_call.output.abs().max()
        if token_first or not (again - block_call.output).abs().max() <= tolerance:
            raise UnsupportedModelError(
                f"Each block at {call} is a list of {len(block.parts)} modules, which its model "
                "does not run as x = x + part(x) one after the other, so it cannot be run again. "
                "Put them into a module that takes and returns tokens, and list these modules."
            )
