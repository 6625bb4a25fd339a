"""Where a forward pass leaves the autograd graph that gradients are to go back through."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Iterator
from typing import overload

import torch
from torch import Tensor, nn
from torch._ops import OpOverload, OpOverloadPacket

from .torch_call import Args, Kwargs, TorchFunction

__all__ = ["GraphBreaks", "in_graph"]

_SHAPE_ONLY = frozenset(
    f"{prefix}{name}{suffix}"
    for name in ("zeros", "ones", "empty", "full", "rand", "randn", "randint", "tensor")
    for prefix, suffix in (("new_", ""), ("", "_like"))
)
"""What they return depends on the shape of what they are given, not on its values."""

_BY_FIRST = frozenset(("to", "type_as", "expand_as", "view_as", "reshape_as"))
"""Of other arguments than the first they take the shape or the type, not the values."""


_OPERATORS = (OpOverload, OpOverloadPacket)
"""Operators that are not functions of PyTorch's own: some have no derivative."""

_COLLECTIONS = (Tensor, list, tuple, type(None))
"""Results that may hold tensors; None where an operation changes its first argument."""


class GraphBreaks:
    """Follows tensors that depend on a graph but are not part of it, until they join it again.

    A tensor leaves the graph where an operation is given a part of it and returns numbers without
    a graph: ``detach()``, ``.data``, ``no_grad()``. That alone is harmless (a hook that stores
    ``x.detach()``). The graph is broken where such a tensor, or what was computed from it, joins
    the graph again, and where an operation has no derivative (int8 kernels): gradients then miss
    what went through it. A statistic of a row (its maximum in a softmax, its norm) may be taken as
    a constant; it breaks nothing here.

    Attributes
    ----------
    paths : list of str
        The modules in which tensors left a graph that they joined again later, in the order in
        which that was seen.
    """

    def __init__(self) -> None:
        self.paths: list[str] = []
        self._sources: dict[int, tuple[weakref.ref[Tensor], tuple[str, ...]]] = {}

    def clear(self) -> None:
        """Forget the tensors that are being followed, not what was seen."""
        self._sources.clear()

    def sources(self, func: TorchFunction, args: Args, kwargs: Kwargs) -> tuple[str, ...]:
        """The modules in which what an operation is given, or comes from, left the graph."""
        return self._lost(_arguments(func, args, kwargs)) if self._sources else ()

    def _lost(self, values: Iterable[object]) -> tuple[str, ...]:
        lost = (self._sources_of(t) for t in _tensors(values) if not _is_statistic(t))
        return tuple(dict.fromkeys(path for paths in lost for path in paths))

    def follow(
        self,
        func: TorchFunction,
        args: Args,
        kwargs: Kwargs,
        sources: tuple[str, ...],
        result: object,
        path: Callable[[], str | None],
    ) -> None:
        """Take note of an operation, with the ``sources`` of its arguments before it ran.

        ``path`` says in which module it ran, or None where it does not count. This runs after
        every operation: what is usual comes first.
        """
        if isinstance(result, Tensor) and result.requires_grad:
            if sources:
                self._add(sources)
            if isinstance(func, _OPERATORS) and _has_no_formula(result):
                self._add(_only(path()))
            return
        if isinstance(result, torch.Size) or not isinstance(result, _COLLECTIONS):
            return
        arguments = _arguments(func, args, kwargs)
        if not sources and not any(map(_is_in_graph, arguments)):
            return
        results = list(_tensors([arguments[0] if result is None and arguments else result]))
        if any(t.requires_grad for t in results):
            self._add(sources)
            return
        sources = sources or _only(path())
        if not sources:
            return
        for tensor in results:
            self._sources[id(tensor)] = weakref.ref(tensor), sources

    def _add(self, sources: tuple[str, ...]) -> None:
        self.paths += [source for source in sources if source not in self.paths]

    def check_end(self, output: Tensor) -> None:
        """Take note of the modules in which what the pass returns left the graph for good."""
        if not output.requires_grad:
            self._add(self._lost([output]))

    def _sources_of(self, tensor: Tensor) -> tuple[str, ...]:
        reference, paths = self._sources.get(id(tensor), (None, ()))
        return paths if reference is not None and reference() is tensor else ()


@overload
def in_graph(values: Tensor, *, to_be_written: bool = False) -> Tensor: ...


@overload
def in_graph(values: object, *, to_be_written: bool = False) -> object: ...


def in_graph(values: object, *, to_be_written: bool = False) -> object:
    """The same numbers as part of a graph of gradients, which begins here if need be.

    Into what begins a graph nobody may write: ``to_be_written`` costs a copy.
    """
    if not isinstance(values, Tensor):
        return values
    with torch._C.DisableTorchFunction():  # to a function mode each of these is an operation
        if values.requires_grad or not values.is_floating_point():
            return values
        begun = values.detach().requires_grad_()
        return begun.clone() if to_be_written else begun


def _arguments(func: TorchFunction, args: Args, kwargs: Kwargs) -> tuple[object, ...]:
    """The arguments whose values decide what an operation returns."""
    name = getattr(func, "__name__", "")
    if name in _SHAPE_ONLY:
        return ()
    if name in _BY_FIRST:
        return args[:1]
    return (*args, *kwargs.values()) if kwargs else args


def _tensors(values: Iterable[object]) -> Iterator[Tensor]:
    """Tensors of real numbers among values and in lists of them."""
    for value in values:
        if isinstance(value, Tensor):
            if value.is_floating_point() or value.is_complex() or value.is_quantized:
                yield value
        elif isinstance(value, list | tuple):
            yield from _tensors(value)


def _only(path: str | None) -> tuple[str, ...]:
    return () if path is None else (path,)


def _is_in_graph(value: object) -> bool:
    if isinstance(value, Tensor):
        return value.requires_grad and not isinstance(value, nn.Parameter)
    return isinstance(value, list | tuple) and any(map(_is_in_graph, value))


def _has_no_formula(tensor: Tensor) -> bool:
    """Whether PyTorch has no derivative of the operation that returned a tensor (int8 kernels)."""
    return tensor.grad_fn is not None and tensor.grad_fn.name().endswith("NotImplemented")


def _is_statistic(tensor: Tensor) -> bool:
    return tensor.ndim == 0 or tensor.shape[-1] == 1
