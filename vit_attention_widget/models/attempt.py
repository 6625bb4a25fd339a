"""An attempt at one module: run it, find its prefix tokens, and measure what it reads out."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary, ref

import torch
from torch import Tensor, nn

from ..support.identity import identity_of
from .classifier import classifier_width
from .eval_mode import evaluating
from .measured import MeasuredReadout, measure_prefix, measure_readout
from .parts import Parts
from .prefix_names import prefix_names
from .skeleton import Skeleton

__all__ = ["Attempt", "FeaturesAttempt"]

_VECTORS = ("logits", "image_embeds", "pooler_output")
_STATE = ("training", "_parameters", "_buffers", "_modules", "_read", "_returned")
_CLASSIFIERS = ("head", "heads", "fc", "classifier", "cls_classifier", "head_dist", "linear")


@dataclass(frozen=True)
class _Outcome:
    """What was measured, and of what."""

    signature: tuple[object, ...]
    prefix: tuple[str, ...]
    measured: MeasuredReadout | None
    classes: bool
    returned: str
    token_first: bool


_MEASURED: WeakKeyDictionary[nn.Module, dict[type, _Outcome]] = WeakKeyDictionary()


class Attempt:
    """Try to describe one module."""

    def __init__(
        self,
        module: nn.Module,
        parts: Parts,
        size: tuple[int, int],
        call: Callable[[nn.Module, Tensor, tuple[int, int]], object],
    ) -> None:
        self.module, self.parts, self.size, self.call = module, parts, size, call
        self.skeleton = Skeleton(module, parts.blocks, parts.patches, size)
        self.prefix: tuple[str, ...] = ()
        self.measured: MeasuredReadout | None = None
        self.classes = False
        self._read = ""  # which field of the output was taken
        self._returned = ""  # what the output is, in words

    def run(self, module: nn.Module, inputs: Tensor) -> Tensor:
        """Run a module; one vector for each image if there is one."""
        vector: Tensor = self._vector(self.call(module, inputs, self.size))
        return vector

    def says_output(self) -> str:
        """What was returned where a vector for each image was expected."""
        return (
            f"{type(self.module).__name__} returned {self._returned} for 2 images, but logits or "
            "features [2, class] were expected: wrap its forward so that it returns those."
        )

    def measure_or_recall(self) -> None:
        """Measure, unless that was done and nothing around the blocks has changed since."""
        signature = (type(self), self.size, *_signature(self.parts, self.module))
        before = _MEASURED.get(self.module, {}).get(type(self))
        if before is not None and before.signature == signature:
            self.prefix, self.measured, self.classes = (
                before.prefix,
                before.measured,
                before.classes,
            )
            self._returned = before.returned
            self.skeleton.token_first = before.token_first
            return
        device = next(self.module.parameters()).device
        drawn_on = [device] if device.type == "cuda" else []
        with evaluating(self.module), torch.random.fork_rng(drawn_on):
            self.measure()
        outcome = _Outcome(
            signature,
            self.prefix,
            self.measured,
            self.classes,
            self._returned,
            self.skeleton.token_first,
        )
        _MEASURED.setdefault(self.module, {})[type(self)] = outcome

    def measure(self) -> None:
        """Find the prefix tokens, and what is read out."""
        parts, name = self.parts, type(self.module).__name__
        with torch.no_grad():
            count, token_first = measure_prefix(self.skeleton, self.run, parts.patches, name)
        self.skeleton.token_first = token_first
        self.prefix = prefix_names(parts.core, parts.blocks, count)
        rows, cols = self.skeleton.grid
        shape = count + rows * cols, parts.patches.out_channels
        self.measured = measure_readout(self.readout, self.module, shape)
        if self.measured is not None and not self.measured.rows:
            self.measured = self._measured_with_a_living_head(shape) or self.measured
        if self._read in ("tensor", "logits"):
            unnamed = self._read == "logits"
            self.classes = _classifies(self.parts, self.module, unnamed=unnamed)

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
        skeleton.token_first = self.skeleton.token_first
        return measure_readout(
            lambda tokens: skeleton.readout(self.run, tokens), self.module, shape
        )

    def readout(self, tokens: Tensor) -> Tensor:
        """What the module makes of tokens that leave the last block."""
        return self.skeleton.readout(self.run, tokens)

    def _vector(self, output: object) -> Any:  # a tensor, wherever one was seen before
        if isinstance(output, Tensor):
            self._read, self._returned = "tensor", str(list(output.shape))
            return output
        self._returned = type(output).__name__
        if isinstance(output, tuple | list):
            return next((o for o in output if isinstance(o, Tensor) and o.ndim == 2), None)
        for name in _VECTORS:
            value = _get(output, name)
            if isinstance(value, Tensor) and value.ndim == 2:
                self._read = name
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


def _get(output: object, name: str) -> object:
    return output.get(name) if isinstance(output, dict) else getattr(output, name, None)


_PLAIN = (bool, int, float, str, type(None))


def _signature(parts: Parts, module: nn.Module) -> tuple[object, ...]:
    """What decides how a module reads: its modules around the blocks, and their settings."""
    inside = {part for block in parts.blocks for part in block.modules()}
    around = [part for part in module.modules() if part not in inside]
    config = vars(getattr(module, "config", None) or object) if hasattr(module, "config") else {}
    settings = [
        (name, *_identity(value))
        for owner in (*map(vars, around), config)
        for name, value in owner.items()
        if name not in _STATE
    ]
    return (*map(ref, around), *settings)


def _identity(value: object) -> tuple[object, ...]:
    if isinstance(value, tuple):  # it may hold tensors, or the model
        return tuple(_identity(part) for part in value)
    if isinstance(value, _PLAIN):
        return (value,)
    identity = identity_of(value)
    return (identity, len(value)) if isinstance(value, dict) else (identity,)  # hooks, mostly


def _classifies(parts: Parts, module: nn.Module, *, unnamed: bool) -> bool:
    """Whether what comes out is a classifier's; ``unnamed`` where none is called so."""
    inside = {part for block in parts.blocks for part in block.modules()}
    heads = [
        head
        for name, head in module.named_modules()
        if name.rpartition(".")[2] in _CLASSIFIERS and head not in inside
    ]
    return any(classifier_width(head) != 0 for head in heads) if heads else unnamed
