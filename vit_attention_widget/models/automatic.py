"""Describe a Vision Transformer by its parts and by what is measured on what surrounds its blocks.

This knows no model by name. Each library says how its models are run, and what it knows besides.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import UnsupportedModelError
from .adapted import AdaptedVisionTransformer, pair
from .classifier import classifier_width
from .eval_mode import evaluating
from .holders import refuse_missing_weights
from .image_input import Normalization
from .measured import MeasuredReadout, measure_prefix, measure_readout
from .normalizations import IMAGENET
from .parts import Parts, find_parts
from .skeleton import Run, Skeleton

__all__ = ["AutomaticVisionTransformer", "describe_automatically"]

_CLASS_TOKENS = ("cls_token", "class_embedding", "class_token", "cls")
_DISTILLED = ("dist_token", "distillation_token")
_VECTORS = ("logits", "image_embeds", "pooler_output")
_CLASSIFIERS = ("head", "heads", "fc", "classifier", "cls_classifier", "head_dist", "linear")


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
    run: Callable[[nn.Module, Tensor, tuple[int, int]], Any] | None = None,
    image_size: int | Sequence[int] | None = None,
    normalization: Normalization = IMAGENET,
    crop: float = 1.0,
    any_size: Callable[[nn.Module], bool] = lambda module: False,
    takes_images_alone: Callable[[nn.Module], bool] = lambda module: True,
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
    normalization, crop
        Of the model's input; ``crop`` is the share of a picture's shorter side that is kept.
    any_size : callable
        Whether a module takes images of other sizes.
    takes_images_alone : callable
        Whether a module may be tried.

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
        attempt = _Attempt(module, parts, size, call)
        try:
            with evaluating(module):
                attempt.measure()
                if attempt.measured is None and module is parts.core:
                    attempt = _Features(module, parts, size, call)
                    attempt.measure()
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
            continue
        if why:
            why += f" Its `{path}`, a {type(module).__name__}, can be looked at by itself."
            break
        return attempt.description(model, path, normalization, crop, any_size(module))
    raise UnsupportedModelError(
        why
        or f"{type(model).__name__} is not supported: no part of it that holds the blocks and the "
        "patch embedding takes images alone and returns one vector for each."
    )


class _Attempt:
    """Try to describe one module."""

    def __init__(
        self,
        module: nn.Module,
        parts: Parts,
        size: tuple[int, int],
        call: Callable[[nn.Module, Tensor, tuple[int, int]], Any],
    ) -> None:
        self.module, self.parts, self.size, self.call = module, parts, size, call
        self.skeleton = Skeleton(module, parts.blocks, parts.patches, size)
        self.prefix: tuple[str, ...] = ()
        self.measured: MeasuredReadout | None = None
        self.classes = False

    def run(self, module: nn.Module, inputs: Tensor) -> Tensor:
        """Run a module; one vector for each image if there is one."""
        output = self.call(module, inputs, self.size)
        return self._vector(output)

    def measure(self) -> None:
        """Find the prefix tokens, and what is read out."""
        parts, name = self.parts, type(self.module).__name__
        with torch.no_grad():
            count = measure_prefix(self.skeleton, self.run, parts.patches, name)
        self.prefix = _prefix_names(parts, count)
        rows, cols = self.skeleton.grid
        dim = parts.patches.out_channels
        self.measured = measure_readout(self.readout, self.module, (count + rows * cols, dim))
        if self.measured is not None and not self.measured.rows:
            raise UnsupportedModelError(f"What {name} returns does not depend on its tokens.")

    def description(
        self, model: nn.Module, path: str, normalization: Normalization, crop: float, any_size: bool
    ) -> AutomaticVisionTransformer:
        """The description, once measured."""
        measured = self.measured
        assert measured is not None
        before_patches = max(measured.rows) < len(self.prefix)
        name = type(self.module).__name__
        return AutomaticVisionTransformer(
            self.module,
            self.parts.blocks,
            self.readout,
            forward=lambda inputs: self.run(self.module, inputs),
            patch_size=pair(self.parts.patches.stride),
            prefix=self.prefix,
            pool="class" if before_patches else measured.kind,
            rows=measured.rows if before_patches else None,
            num_classes=measured.size if self.classes else 0,
            image_size=self.size,
            normalization=normalization,
            crop=crop,
            any_size=any_size,
            name=f"{name} ({path} of {type(model).__name__})" if path else name,
        )

    def readout(self, tokens: Tensor) -> Tensor:
        """What the module makes of tokens that leave the last block."""
        output: Tensor = self.skeleton.readout(self.run, tokens)
        return output

    def _vector(self, output: Any) -> Any:
        if isinstance(output, Tensor):
            self.classes = _classifies(self.parts, self.module, unnamed=False)
            return output
        if isinstance(output, tuple | list):
            return next((o for o in output if isinstance(o, Tensor) and o.ndim == 2), None)
        for name in _VECTORS:
            value = _get(output, name)
            if isinstance(value, Tensor) and value.ndim == 2:
                self.classes = name == "logits" and _classifies(
                    self.parts, self.module, unnamed=True
                )
                return value
        tokens = _get(output, "last_hidden_state")
        if not isinstance(tokens, Tensor) or tokens.ndim != 3:
            return None
        has_class = self.prefix[:1] == ("class",)
        return tokens[:, 0] if has_class else tokens[:, len(self.prefix) :].mean(1)


class _Features(_Attempt):
    """Describe a module that returns no vector (a backbone's maps of features) by one of its own.

    This is the class token after the last norm, or the mean of the patches where there is none.
    """

    def run(self, module: nn.Module, inputs: Tensor) -> Tensor:
        """The features of images."""
        if module is not self.module:  # a skeleton, whose tokens are looked at
            return super().run(module, inputs)
        raw = lambda part, pixels: self.call(part, pixels, self.size)  # noqa: E731
        return self.readout(self.skeleton.last_tokens(raw, inputs))

    def readout(self, tokens: Tensor) -> Tensor:
        """The features of tokens that leave the last block."""
        norms = [
            module
            for name, module in self.parts.around_blocks()
            if "norm" in type(module).__name__.lower() and "." not in name
        ]
        normed: Tensor = norms[-1](tokens) if norms else tokens
        if self.prefix[:1] == ("class",):
            return normed[:, 0]
        return normed[:, len(self.prefix) :].mean(1)


def _get(output: Any, name: str) -> Any:
    return output.get(name) if isinstance(output, dict) else getattr(output, name, None)


def _classifies(parts: Parts, module: nn.Module, *, unnamed: bool) -> bool:
    """Whether what comes out is a classifier's; ``unnamed`` where none is called so."""
    inside = {part for block in parts.blocks for part in block.modules()}
    heads = [
        head
        for name, head in module.named_modules()
        if name.rpartition(".")[2] in _CLASSIFIERS and head not in inside
    ]
    return any(classifier_width(head) != 0 for head in heads) if heads else unnamed


def _prefix_names(parts: Parts, count: int) -> tuple[str, ...]:
    inside = {id(p) for block in parts.blocks for p in block.parameters()}
    called = {
        name.rpartition(".")[2] for name, p in parts.core.named_parameters() if id(p) not in inside
    }
    names = [
        word
        for word, spellings in (("class", _CLASS_TOKENS), ("distilled", _DISTILLED))
        if called.intersection(spellings)
    ][:count]
    return tuple(names + [f"register {i}" for i in range(count - len(names))])


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


__all__ += ["Run"]
