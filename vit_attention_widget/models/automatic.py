"""Describe a Vision Transformer by its parts and by what is measured on what surrounds its blocks.

This knows no model by name. Each library says how its models are run, and what it knows besides.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor, nn

from ..errors import UnsupportedModelError
from .adapted import AdaptedVisionTransformer, pair
from .attempt import Attempt, FeaturesAttempt
from .holders import refuse_missing_weights
from .normalizations import IMAGENET
from .parts import Parts, find_parts
from .prefix_names import with_class_at
from .preparation import Preparation, resized_and_cropped
from .residual_blocks import heads_of
from .tried import try_model

__all__ = ["AutomaticVisionTransformer", "describe_automatically"]


class AutomaticVisionTransformer(AdaptedVisionTransformer):
    """A model whose parts were found, and whose layout and readout were measured."""

    library = "other"

    def finish_block(self, block: nn.Module, inputs: Tensor, head_outputs: Tensor) -> Tensor | None:
        """The rest of a block, by timm's description if it is one of timm's."""
        if type(block).__module__.startswith("timm."):
            from .timm.blocks import finish_block

            return finish_block(block, inputs, head_outputs)
        return super().finish_block(block, inputs, head_outputs)


def describe_automatically(
    model: nn.Module,
    *,
    run: Callable[[nn.Module, Tensor, tuple[int, int]], object] | None = None,
    image_size: int | Sequence[int] | None = None,
    preparation: Callable[[tuple[int, int], int], Preparation] | None = None,
    any_size: Callable[[nn.Module], bool] = lambda module: False,
    takes_images_alone: Callable[[nn.Module], bool] = lambda module: True,
    kind: type[AutomaticVisionTransformer] = AutomaticVisionTransformer,
    features: bool = False,
) -> AutomaticVisionTransformer:
    """Describe any model that makes tokens of patches and passes them through a list of blocks.

    The outermost module that takes images alone and returns one vector for each is the one that is
    described; the name says so where it is not the model itself.

    Parameters
    ----------
    model : nn.Module
    run : callable, optional
        Runs a module on images; is also given ``image_size``. Calls the module by default.
    image_size : int or (int, int), optional
        Found by the position embeddings' number by default.
    preparation : callable, optional
        Takes image size and number of channels, and says how pictures become input. By default
        ImageNet's mean and standard deviation are assumed.
    any_size : callable
        Whether a module takes images of other sizes.
    takes_images_alone : callable
        Whether a module may be tried.
    kind : class
        Of the description.
    features : bool
        Describe what returns no vector (a backbone, which returns maps) by features of its own.

    Raises
    ------
    UnsupportedModelError
        If the parts are not found, or their tokens are not a prefix and one grid of patches.
    """
    parts = find_parts(model)
    refuse_missing_weights(model)
    size = _image_size(parts) if image_size is None else pair(image_size)
    call = run or (lambda module, inputs, size: module(inputs))
    why = ""
    for path, module in parts.path:
        if not takes_images_alone(module):
            continue
        attempt = Attempt(module, parts, size, call)
        try:
            attempt.measure_or_recall()
            if features and attempt.measured is None and module is parts.core:
                attempt = FeaturesAttempt(module, parts, size, call)
                attempt.measure_or_recall()
        except NotImplementedError:  # it only holds a model
            continue
        except UnsupportedModelError as error:
            why = why or str(error)
            continue
        except Exception as error:  # a model that wants more than images raises what it likes
            reason = f"{type(error).__name__}: {error}".splitlines()[0]
            why = why or f"{type(module).__name__} could not be run on images alone ({reason})."
            continue
        if attempt.measured is None:
            why = why or ("" if features else attempt.says_output())
            continue
        if why:
            why += f" Its `{path}`, a {type(module).__name__}, can be looked at by itself."
            break
        return _description(
            kind, attempt, name=f"{type(module).__name__} ({path} of {type(model).__name__})"
            if path else type(module).__name__,
            preparation=(preparation or _assumed)(size, parts.patches.in_channels),
            any_size=any_size(module),
        )  # fmt: skip
    raise UnsupportedModelError(
        why
        or f"{type(model).__name__} is not supported: no part of it that holds the blocks and the "
        "patch embedding takes images alone and returns one vector for each."
    )


def _assumed(size: tuple[int, int], channels: int) -> Preparation:
    ground = "ImageNet's mean and deviation are assumed: give processor= or transform= if not so"
    return resized_and_cropped(size, IMAGENET, ground, channels=channels, assumed=True)


def _description(
    kind: type[AutomaticVisionTransformer],
    attempt: Attempt,
    name: str,
    preparation: Preparation,
    any_size: bool,
) -> AutomaticVisionTransformer:
    measured = attempt.measured
    assert measured is not None
    # What does not depend on any token (a constant, a shortcut past the blocks) is refused where
    # maps are made of tokens.
    rows = measured.rows or (0,)
    before_patches = max(rows) < len(attempt.prefix)
    described = kind(
        attempt.module,
        attempt.parts.blocks,
        attempt.readout,
        forward=lambda inputs: attempt.run(attempt.module, inputs),
        patch_size=pair(attempt.parts.patches.stride),
        prefix=with_class_at(attempt.prefix, measured.rows),
        pool="class" if before_patches else measured.kind,
        rows=rows if before_patches else None,
        num_classes=measured.size if attempt.classes else 0,
        image_size=attempt.size,
        normalization=IMAGENET,
        channels=attempt.parts.patches.in_channels,
        num_heads=_num_heads(attempt),
        name=name,
        preparation=preparation,
        any_size=any_size,
    )
    described.token_first = attempt.skeleton.token_first
    return described


def _num_heads(attempt: Attempt) -> tuple[int, ...]:
    """Heads of each block as its modules say, or as many as are seen where none says it."""
    parts = attempt.parts
    try:
        return tuple(heads_of(block) for block in parts.blocks)
    except UnsupportedModelError:
        tried = try_model(
            attempt.module,
            parts.blocks,
            lambda inputs: attempt.run(attempt.module, inputs),
            (parts.patches.in_channels, *attempt.size),
            pair(parts.patches.stride),
            "its list",
        )
        pairs = zip(parts.blocks, tried.num_heads, strict=True)
        return tuple(seen or heads_of(block) for block, seen in pairs)


def _image_size(parts: Parts) -> tuple[int, int]:
    """The size that the position embeddings are for: a square grid of patches."""
    for _, module in parts.around_blocks():
        for name in ("img_size", "image_size"):
            size = getattr(module, name, None)
            if isinstance(size, int | tuple | list):
                return pair(size)
    inside = {id(p) for block in parts.blocks for p in block.parameters()}
    for name, parameter in parts.core.named_parameters():
        if id(parameter) in inside or "pos" not in name.rpartition(".")[2]:
            continue
        count = max(parameter.shape[:-1], default=0)
        side = int(count**0.5)  # at most a few prefix tokens, fewer than another row and column
        return side * parts.patches.stride[0], side * parts.patches.stride[1]
    return 224, 224
