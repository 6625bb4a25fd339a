"""An attempt at one module: run it, find its prefix tokens, and measure what it reads out."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from .classifier import classifier_width
from .measured import MeasuredReadout, measure_prefix, measure_readout
from .parts import Parts
from .skeleton import Skeleton

__all__ = ["Attempt", "FeaturesAttempt"]

_CLASS_TOKENS = ("cls_token", "class_embedding", "class_token", "cls")
_DISTILLED = ("dist_token", "distillation_token")
_VECTORS = ("logits", "image_embeds", "pooler_output")
_CLASSIFIERS = ("head", "heads", "fc", "classifier", "cls_classifier", "head_dist", "linear")


class Attempt:
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
        self._returned: object = None

    def run(self, module: nn.Module, inputs: Tensor) -> Tensor:
        """Run a module; one vector for each image if there is one."""
        self._returned = self.call(module, inputs, self.size)
        return self._vector(self._returned)

    def says_output(self) -> str:
        """What was returned where a vector for each image was expected."""
        returned = self._returned
        shape = list(returned.shape) if isinstance(returned, Tensor) else type(returned).__name__
        return (
            f"{type(self.module).__name__} returned {shape} for 2 images, but logits or features "
            "[2, class] were expected: wrap its forward so that it returns those."
        )

    def measure(self) -> None:
        """Find the prefix tokens, and what is read out."""
        parts, name = self.parts, type(self.module).__name__
        with torch.no_grad():
            count = measure_prefix(self.skeleton, self.run, parts.patches, name)
        self.prefix = _prefix_names(parts, count)
        rows, cols = self.skeleton.grid
        shape = count + rows * cols, parts.patches.out_channels
        self.measured = measure_readout(self.readout, self.module, shape)
        if self.measured is not None and not self.measured.rows:
            self.measured = self._measured_with_a_living_head(shape) or self.measured

    def _measured_with_a_living_head(self, shape: tuple[int, int]) -> MeasuredReadout | None:
        """Measured again where a classifier that begins with zeros lets nothing through."""
        inside = {part for block in self.parts.blocks for part in block.modules()}
        zeros = [
            module
            for module in self.module.modules()
            if isinstance(module, nn.Linear) and module not in inside and not module.weight.any()
        ]
        if not zeros:
            return None
        living: dict[nn.Module, nn.Module] = {}
        generator = torch.Generator().manual_seed(0)
        for module in zeros:
            living[module] = other = copy.deepcopy(module)
            noise = torch.randn(module.weight.shape, generator=generator)
            other.weight = nn.Parameter(noise.to(module.weight))
        skeleton = Skeleton(
            self.module, self.parts.blocks, self.parts.patches, self.size, others=living
        )
        return measure_readout(
            lambda tokens: skeleton.readout(self.run, tokens), self.module, shape
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


class FeaturesAttempt(Attempt):
    """Describe a module that returns no vector (a backbone's maps) by features of its own.

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
