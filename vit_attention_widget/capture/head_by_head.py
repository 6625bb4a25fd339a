"""Attention whose heads are computed one at a time, in a loop or by a module each.

A product of one head alone says nothing yet of the layer. Head outputs are followed through what
only moves numbers (``cat``, ``stack``, views) until something is computed from them: all heads that
come together there are the heads of the layer. They are reported as one attention, and what the
model goes on with is put together again, in its own way, from what the report returned.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..errors import UnsupportedModelError
from .calls import AttentionCall
from .joined_heads import Head, joined, path_of
from .torch_call import Args, Kwargs, TorchFunction

__all__ = ["HeadByHead"]

_MOVES = frozenset(
    (
        *("cat", "concat", "concatenate", "stack", "hstack", "vstack", "dstack", "column_stack"),
        *("unbind", "split", "chunk", "select", "narrow", "__getitem__", "__setitem__"),
        *("squeeze", "unsqueeze", "view", "reshape", "view_as", "reshape_as", "flatten"),
        *("unflatten", "permute", "transpose", "swapaxes", "swapdims", "movedim", "moveaxis", "t"),
        *("contiguous", "clone", "expand", "to", "type_as", "float", "double", "half", "bfloat16"),
        "dropout",
    )
)
"""Functions by name that compute nothing from numbers: they move or store them elsewhere."""

_QUESTIONS = frozenset(
    (
        *("size", "dim", "ndimension", "numel", "nelement", "stride", "__len__", "data_ptr"),
        *("is_contiguous", "is_floating_point", "is_complex", "register_hook", "retain_grad"),
    )
)
"""Functions by name that return no numbers."""


@dataclass(frozen=True)
class _Step:
    """How a tensor was made from head outputs: by which function, or it is those of a head."""

    tensor: Tensor  # kept alive, so that no other gets its identity
    func: TorchFunction | None = None
    args: Args = ()
    kwargs: Kwargs | None = None
    part: int | None = None
    head: int = -1


Report = Callable[[AttentionCall], Tensor]
"""Takes note of an attention; returns the head outputs to go on with."""


class HeadByHead:
    """Follows the heads of one block until they come together."""

    def __init__(self) -> None:
        self._heads: list[Head] = []
        self._steps: dict[int, _Step] = {}
        self._replaced: dict[int, tuple[Tensor, Tensor]] = {}
        self._batch = 0

    def clear(self) -> None:
        """Stop following."""
        self._heads.clear()
        self._steps.clear()
        self._replaced.clear()

    @property
    def follows(self) -> bool:
        """Whether there are tensors to look for."""
        return bool(self._steps or self._replaced)

    @property
    def waits(self) -> bool:
        """Whether there are heads of which nothing was told."""
        return bool(self._steps)

    def add(self, head: Head, result: Tensor, batch: int) -> None:
        """Take note of the output of one head, as the model has it, in a pass of so many images."""
        self._batch = batch
        self._steps[id(result)] = _Step(result, head=len(self._heads))
        self._heads.append(head)

    def arguments(
        self,
        func: TorchFunction,
        args: Args,
        kwargs: Kwargs,
        report: Report,
    ) -> tuple[Args, Kwargs]:
        """The arguments to call a function with, after its heads were reported if it computes."""
        name = getattr(func, "__name__", "")
        if name not in _MOVES and name not in _QUESTIONS and name != "__get__":
            ends = [t for t in _tensors((args, kwargs)) if id(t) in self._steps]
            if ends:
                self._come_together(ends, report)
        if not self._replaced:
            return args, kwargs
        return _mapped(args, self._now), _mapped(kwargs, self._now)

    def follow(self, func: TorchFunction, args: Args, kwargs: Kwargs, result: object) -> None:
        """Take note of a function that was called, if it moved outputs of heads."""
        if not self._steps or not any(id(t) in self._steps for t in _tensors((args, kwargs))):
            return
        if getattr(func, "__name__", "") == "__setitem__":
            buffer, index, values = args
            before = self._steps.get(id(buffer))
            base = buffer.detach().clone() if before is None else before
            step = _Step(buffer, _with_item, (_Before(base), index, values), {})
            self._steps[id(buffer)] = step
        elif isinstance(result, Tensor):
            if id(result) not in self._steps:
                self._steps[id(result)] = _Step(result, func, args, kwargs)
        elif isinstance(result, list | tuple):
            for part, tensor in enumerate(result):
                if isinstance(tensor, Tensor):
                    self._steps[id(tensor)] = _Step(tensor, func, args, kwargs, part)

    def _now(self, tensor: Tensor) -> Tensor:
        """What stands for a tensor since its heads were reported."""
        before, after = self._replaced.get(id(tensor), (None, tensor))
        return after if before is tensor else tensor

    def _come_together(self, ends: Sequence[Tensor], report: Report) -> None:
        """Report the heads that some tensors are made of, and make these tensors again."""
        numbers = sorted({n for t in ends for n in self._heads_in(self._steps[id(t)])})
        heads = [self._heads[n] for n in numbers]
        order = self._order(numbers, ends[0])
        outputs = report(joined(heads, order))
        made: dict[int, Tensor] = {}
        for i, head in enumerate(heads):
            image, place = order[i]
            images = slice(None) if image is None else slice(image, image + 1)
            made[numbers[i]] = head.restore(outputs[images, place : place + 1])
        memo: dict[int, Tensor] = {}
        steps = [step for step in self._steps.values() if self._heads_in(step) <= set(numbers)]
        after = [self._made_of(step, made, memo) for step in steps]
        for step, tensor in zip(steps, after, strict=True):
            self._replaced[id(step.tensor)] = step.tensor, tensor
            del self._steps[id(step.tensor)]

    def _heads_in(self, step: _Step) -> set[int]:
        """Numbers of the heads that a tensor is made of."""
        if step.func is None:
            return {step.head}
        steps = [self._steps.get(id(t)) for t in _tensors((step.args, step.kwargs))]
        steps += [a.made for a in step.args if isinstance(a, _Before) and isinstance(a.made, _Step)]
        return {n for s in steps if s is not None and s is not step for n in self._heads_in(s)}

    def _made_of(self, step: _Step, heads: dict[int, Tensor], memo: dict[int, Tensor]) -> Tensor:
        """A tensor made again from other outputs of its heads."""
        if id(step) in memo:
            return memo[id(step)]
        if step.func is None:
            return heads[step.head]

        def now(tensor: Tensor) -> Tensor:
            other = self._steps.get(id(tensor))
            return tensor if other is None else self._made_of(other, heads, memo)

        args = tuple(
            (self._made_of(a.made, heads, memo) if isinstance(a.made, _Step) else a.made)
            if isinstance(a, _Before)
            else _mapped(a, now)
            for a in step.args
        )
        made = step.func(*args, **_mapped(step.kwargs or {}, now))
        result: Tensor = made if step.part is None else made[step.part]
        memo[id(step)] = result
        return result

    def _order(self, numbers: Sequence[int], end: Tensor) -> list[tuple[int | None, int]]:
        """For each head: of which image it is (None if of all), and its place among the heads."""
        heads = [self._heads[n] for n in numbers]
        shapes = {tuple(head.call.out.shape) for head in heads}
        if len(heads) == 1:
            return [(None, 0)]
        if len(shapes) > 1:
            raise UnsupportedModelError(
                f"The heads of {path_of(heads)!r} are of different sizes ({sorted(shapes)}), and "
                "can only be shown side by side where they are of one."
            )
        images = next(iter(shapes))[0]
        if images == self._batch or self._batch < 1:
            return [(None, place) for place in range(len(heads))]
        # One image at a time: the model itself shows where it puts which.
        marks = {
            n: self._heads[n].restore(torch.full_like(self._heads[n].call.out, i).detach())
            for i, n in enumerate(numbers)
        }
        laid_out = self._made_of(self._steps[id(end)], marks, {})
        of_images = [laid_out[b].unique().tolist() for b in range(len(laid_out))]
        each = len(heads) // self._batch
        if len(of_images) != self._batch or any(len(seen) != each for seen in of_images):
            raise UnsupportedModelError(
                f"{path_of(heads)!r} computes one head of one image at a time, and it cannot be "
                f"seen which of its {len(heads)} matrices are of which of {self._batch} images: "
                "pass one image at a time."
            )
        places = {int(n): (b, i) for b, seen in enumerate(of_images) for i, n in enumerate(seen)}
        return [places[i] for i in range(len(heads))]


@dataclass(frozen=True)
class _Before:
    """What a tensor was made of, or held, before a part of it was written over."""

    made: _Step | Tensor


def _with_item(before: Tensor, index: Any, values: Tensor) -> Tensor:
    after = before.clone()
    after[index] = values
    return after


def _tensors(value: object) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _tensors(part)
    elif isinstance(value, dict):
        yield from _tensors(list(value.values()))


def _mapped(value: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """A value with tensors in it changed; shapes and named tuples stay what they are."""
    if isinstance(value, Tensor):
        return change(value)
    if type(value) in (list, tuple):
        return type(value)([_mapped(part, change) for part in value])
    if isinstance(value, dict):
        return {name: _mapped(part, change) for name, part in value.items()}
    return value
