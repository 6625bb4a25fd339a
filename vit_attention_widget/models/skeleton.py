"""A model without its blocks: what surrounds them, run by the model's own code.

A skeleton is a copy of the modules that hold the blocks, and of those alone. It shares every
parameter with its model, which is not touched. Its patch embedding computes nothing, and its blocks
pass their tokens on, except for the last, which returns the tokens that it was told to. So tokens
are read out by the model's own code, whatever that is, at the price of the readout alone.

Hooks on what surrounds the blocks are run with it: they may be what the model computes
(weight_norm, spectral_norm and ``torch.nn.utils.prune`` work by hooks). So a hook that only counts
or stores is called some times more when a model is described for the first time.
"""

from __future__ import annotations

import types
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias, TypeVar
from weakref import WeakKeyDictionary

from torch import Tensor, nn

__all__ = ["Run", "Skeleton", "without_hooks"]

Output = TypeVar("Output")

Run: TypeAlias = Callable[[nn.Module, Tensor], Output]
"""How a module is run on images [batch, channel, height, width]."""

_INDEX_OF_TOKENS: WeakKeyDictionary[nn.Module, dict[type[nn.Module], int | None]]
_INDEX_OF_TOKENS = WeakKeyDictionary()
"""Where the tokens are in what blocks of a class return, None if that is a tensor itself; by the
first block of their model: another may be told to return more."""


class Skeleton:
    """What surrounds the blocks of a model.

    Parameters
    ----------
    model : nn.Module
    blocks : sequence of nn.Module
        From first to last.
    patches : nn.Conv2d
        The convolution that makes tokens of pixels.
    image_size : (int, int)
        A size that the model takes.
    others : mapping of nn.Module to nn.Module, optional
        Further modules to replace, and by what.

    Attributes
    ----------
    token_first : bool
        Whether blocks take and return [token, batch, dim].
    """

    def __init__(
        self,
        model: nn.Module,
        blocks: Sequence[nn.Module],
        patches: nn.Conv2d,
        image_size: tuple[int, int],
        others: Mapping[nn.Module, nn.Module] | None = None,
    ) -> None:
        self._others = dict(others or {})
        self._model, self._blocks, self._patches = model, list(blocks), patches
        self._size = image_size
        self.token_first = False
        self._copied = _holders(model, {*self._blocks, patches, *self._others})

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of patches."""
        (height, width), (down, right) = self._size, self._patches.stride
        return height // down, width // right

    def entering(self, run: Run[object], embedded: Tensor) -> list[Tensor]:
        """What each block is given, in the order in which they run, for embedded patches.

        Parameters
        ----------
        run : callable
            How the model is run.
        embedded : Tensor
            What the patch embedding is to return, [batch, dim, row, col].
        """
        seen: list[Tensor] = []
        stand_ins = {block: self._passing(block, seen) for block in self._blocks}
        self._run(run, stand_ins, embedded)
        return seen

    def readout(self, run: Run[Output], tokens: Tensor) -> Output:
        """What the model returns for tokens [batch, token, dim] that leave its last block."""
        embedded = tokens.new_zeros(()).expand(len(tokens), self._patches.out_channels, *self.grid)
        stand_ins = {block: self._passing(block) for block in self._blocks}
        last = tokens.transpose(0, 1) if self.token_first else tokens
        stand_ins[self._blocks[-1]] = self._passing(self._blocks[-1], returns=last)
        return self._run(run, stand_ins, embedded)

    def _passing(
        self, block: nn.Module, seen: list[Tensor] | None = None, returns: Tensor | None = None
    ) -> _Passing:
        return _Passing(block, _INDEX_OF_TOKENS.setdefault(self._blocks[0], {}), seen, returns)

    def last_tokens(self, run: Run[object], inputs: Tensor) -> Tensor:
        """Tokens as they leave the last block of the whole model, [batch, token, dim]."""
        last = self._blocks[-1]
        kept: list[Tensor] = []
        copied = _holders(self._model, {last})
        run(_copy(self._model, copied, {last: _Keeping(last, kept)}), inputs)
        return kept[-1].transpose(0, 1) if self.token_first else kept[-1]

    def _run(
        self, run: Run[Output], stand_ins: dict[nn.Module, _Passing], embedded: Tensor
    ) -> Output:
        replaced: dict[nn.Module, nn.Module] = {
            **self._others,
            **stand_ins,
            self._patches: _Embedded(self._patches, embedded),
        }
        shape = len(embedded), self._patches.in_channels, *self._size
        pixels = embedded.new_zeros(()).expand(shape)
        copy = _copy(self._model, self._copied, replaced)
        try:
            return run(copy, pixels)
        except RuntimeError as error:
            if "single memory location" not in str(error):
                raise
            return run(copy, pixels.contiguous())  # it normalizes its input in place


class _StandIn(nn.Module):
    """Takes a module's place, and has its attributes."""

    def __init__(self, original: nn.Module) -> None:
        super().__init__()
        vars(self)["_original"] = original  # not as a submodule

    def __getattr__(self, name: str) -> Any:
        return getattr(vars(self)["_original"], name)


class _Embedded(_StandIn):
    """In place of the patch embedding: returns what it was told to."""

    def __init__(self, original: nn.Module, embedded: Tensor) -> None:
        super().__init__(original)
        vars(self)["_embedded"] = embedded

    def forward(self, pixels: Tensor) -> Tensor:
        embedded: Tensor = vars(self)["_embedded"]
        return embedded


class _Passing(_StandIn):
    """In place of a block: returns its input, or other tokens that it was told to."""

    def __init__(
        self,
        original: nn.Module,
        index: dict[type[nn.Module], int | None],
        seen: list[Tensor] | None,
        returns: Tensor | None,
    ) -> None:
        super().__init__(original)
        vars(self).update(_seen=seen, _tokens=returns, _index=index)

    def forward(self, *args: Any, **kwargs: Any) -> Tensor | tuple[Tensor | None, ...]:
        state = vars(self)
        tokens = next(v for v in (*args, *kwargs.values()) if isinstance(v, Tensor))
        if state["_seen"] is not None:
            state["_seen"].append(tokens)
        block, returned = state["_original"], state["_tokens"]
        indices: dict[type[nn.Module], int | None] = state["_index"]
        if type(block) not in indices:
            indices[type(block)] = _index_of_tokens(block(*args, **kwargs))
        index = indices[type(block)]
        returned = tokens if returned is None else returned
        return returned if index is None else (*[None] * index, returned, None)


class _Keeping(_StandIn):
    """Around a block: runs it, and keeps the tokens that it returns."""

    def __init__(self, original: nn.Module, kept: list[Tensor]) -> None:
        super().__init__(original)
        vars(self)["_kept"] = kept

    def forward(self, *args: Any, **kwargs: Any) -> object:
        output = vars(self)["_original"](*args, **kwargs)
        index = _index_of_tokens(output)
        vars(self)["_kept"].append(output if index is None else output[index])
        return output


def _index_of_tokens(output: Iterable[object]) -> int | None:
    if isinstance(output, Tensor):
        return None
    return next(i for i, part in enumerate(output) if isinstance(part, Tensor))


def _holders(model: nn.Module, parts: set[nn.Module]) -> set[nn.Module]:
    """The modules that hold some of the parts, at any depth."""
    holders: set[nn.Module] = set()

    def holds(module: nn.Module) -> bool:
        if module in parts:
            return True
        below = [holds(child) for child in module.children()]  # all of them, not until the first
        if any(below):
            holders.add(module)
        return any(below)

    holds(model)
    return holders


def _copy(
    module: nn.Module, copied: set[nn.Module], replaced: dict[nn.Module, nn.Module]
) -> nn.Module:
    """A copy of the modules ``copied``, sharing all else; ``replaced`` grows by them."""
    if module in replaced:
        return replaced[module]
    if module not in copied:
        return module
    copy = type(module).__new__(type(module))
    replaced[module] = copy
    attributes = vars(copy)
    attributes.update(vars(module))
    attributes["_modules"] = {
        name: None if child is None else _copy(child, copied, replaced)
        for name, child in module._modules.items()
    }
    # What a pass counts or keeps in buffers is the copy's.
    attributes["_buffers"] = {
        name: None if buffer is None else buffer.clone() for name, buffer in module._buffers.items()
    }
    attributes["training"] = False
    if attributes.get("_compiled_call_impl") is not None:
        attributes["_compiled_call_impl"] = None  # it runs the module that was compiled
    for switch in ("grad_checkpointing", "gradient_checkpointing"):
        if switch in attributes:
            attributes[switch] = False
    forward = attributes.get("forward")  # one that the instance was given
    if isinstance(forward, types.MethodType) and forward.__self__ is module:
        attributes["forward"] = types.MethodType(forward.__func__, copy)
    elif forward is not None:
        del attributes["forward"]
    return copy


def without_hooks(module: nn.Module) -> nn.Module:
    """A copy of a module that shares its parameters, and calls nobody's forward hooks."""
    copy = _copy(module, set(module.modules()), {})
    for part in copy.modules():
        vars(part).update(_forward_hooks=OrderedDict(), _forward_pre_hooks=OrderedDict())
    return copy
