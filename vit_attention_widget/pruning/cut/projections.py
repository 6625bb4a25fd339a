"""Cut heads out of any attention whose projections are linear layers, found by what they compute.

Of a pass it is known what the values of each head and the head outputs were. The linear layer that
made the values, and the one that was given the head outputs, are those whose rows and columns go.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar, cast

import torch
from torch import Tensor, nn

from ...capture.attention_product import is_close
from ...capture.calls import AttentionCall
from .linear import linear_of
from .pass_of_copy import Seen

__all__ = ["Projections", "find_projections"]

_Module = TypeVar("_Module", bound=nn.Module)

_HEADS = ("num_heads", "num_attention_heads", "n_heads", "n_head", "heads", "num_key_value_heads")
_BIAS_TABLE = "bias_table"
_WIDTHS = ("all_head_size", "embed_dim", "inner_dim", "hidden_size", "attention_dim", "dim")


@dataclass
class Projections:
    """The linear layers of one attention, and the modules that hold them.

    Attributes
    ----------
    inputs : list of nn.Linear
        Of queries, keys and values; one if they are joined.
    layout : tuple of int
        How the outputs of a joined one are split, (3, head, head_dim) or (head, 3, head_dim); of
        single ones (head, head_dim).
    axis : int
        Which axis of the layout is that of the heads.
    output : nn.Linear
        Given the head outputs, [batch, token, head x head_dim].
    holders : list of nn.Module
        Inside the block, around these: they say how many heads there are.
    tables : list of nn.Module
        In the block, with a table of position biases of each head.
    """

    inputs: list[nn.Linear]
    layout: tuple[int, ...]
    axis: int
    output: nn.Linear
    holders: list[nn.Module]
    tables: list[nn.Module]

    def keep(self, heads: Sequence[int], total: int) -> None:
        """Keep these heads, at least one, of ``total``; the modules are changed in place."""
        kept, width = list(heads), self.layout[-1]
        index = torch.tensor(kept, device=self.output.weight.device)
        for linear in self.inputs:
            weight = linear.weight.unflatten(0, self.layout).index_select(self.axis, index)
            bias = linear.bias
            if bias is not None:
                bias = bias.unflatten(0, self.layout).index_select(self.axis, index).flatten()
            _replace(linear, weight.flatten(0, len(self.layout) - 1), bias)
        columns = self.output.weight.unflatten(1, (total, width)).index_select(1, index)
        _replace(self.output, columns.flatten(1), self.output.bias)
        for holder in self.holders:
            _say_fewer(holder, total, width, len(kept))
        for module in self.tables:
            _cut_tables(module, total, index)

    def as_plain(
        self, block: nn.Module, call: AttentionCall, seen: Seen
    ) -> tuple[nn.Module, float, int] | None:
        """The module that does no more than :class:`JoinedAttention` does.

        With it, its scale, and the length of the tuple that it returns (0: a tensor). None if
        there is none: the attention has a bias, say, or its queries are turned.
        """
        if len(self.inputs) != 1 or not call.is_plain:
            return None
        (joined,) = self.inputs
        tokens, made = seen.linear[joined]
        split = made.unflatten(-1, self.layout)
        q, k, v = (part.transpose(1, 2) for part in split.unbind(-3 + (1 - self.axis)))
        factor = float((q * call.q).sum() / q.square().sum())  # queries may be scaled already
        is_raw = _same(q * factor, call.q) and _same(k, call.k) and _same(v, call.v)
        holder = _parent(block, joined)
        is_whole = any(child is self.output for child in holder.children())
        if not (is_raw and is_whole and holder in seen.called):
            return None
        taken, returned = seen.called[holder]
        first = returned[0] if isinstance(returned, tuple) else returned
        if not (_same(taken, tokens) and _same(first, seen.linear[self.output][1])):
            return None  # it holds a norm, say
        return holder, call.scale * factor, len(returned) if isinstance(returned, tuple) else 0

    def of_copy(self, model: nn.Module, copy: nn.Module) -> Projections:
        """The same layers of a copy of the model that holds these."""
        paths = {module: path for path, module in model.named_modules()}

        def of(modules: Sequence[_Module]) -> list[_Module]:
            return [cast(_Module, copy.get_submodule(paths[module])) for module in modules]

        (output,) = of([self.output])
        inputs, holders, tables = of(self.inputs), of(self.holders), of(self.tables)
        return Projections(inputs, self.layout, self.axis, output, holders, tables)

    def zero_values(self, head: int, total: int) -> None:
        """Zero the values of a head, so that it adds nothing."""
        linear = self.inputs[-1]
        with torch.no_grad():
            for values in (linear.weight, linear.bias):
                if values is not None:
                    of_head = values.unflatten(0, self.layout).select(self.axis, head)
                    (of_head[2] if len(self.layout) == 3 else of_head).zero_()


def find_projections(block: nn.Module, call: AttentionCall, seen: Seen) -> Projections | str:
    """Find the projections of a block's attention.

    Parameters
    ----------
    block : nn.Module
    call : AttentionCall
        The attention that the block computed.
    seen : Seen
        What the block's modules did in the same pass.

    Returns
    -------
    Projections or str
        Or why they are not found.
    """
    v, out = (t.detach().transpose(1, 2).flatten(2) for t in (call.v, call.out))
    heads, width = call.v.shape[1], call.v.shape[-1]
    output = next(
        (
            linear
            for linear, (taken, _) in seen.linear.items()
            if _same(taken, out) or _same(taken, out.transpose(0, 1))  # tokens first
        ),
        None,
    )
    if output is None:
        return "its head outputs go into no linear layer as they are"

    def around(linear: nn.Linear) -> tuple[list[nn.Module], list[nn.Module]]:
        return _holders(block, linear, output), _tables(block)

    for linear, (_, made) in seen.linear.items():
        if _same(made, v):
            parent = _parent(block, linear)
            inputs = [
                each
                for each in parent.children()
                if isinstance(each, nn.Linear) and each in seen.linear and each is not output
                and seen.linear[each][1].shape == made.shape
            ]  # fmt: skip
            inputs = [each for each in inputs if each is not linear] + [linear]
            if len(inputs) != 3:
                return f"beside its values there are {len(inputs) - 1} projections, not 2"
            return Projections(inputs, (heads, width), 0, output, *around(linear))
        for layout, axis in (((3, heads, width), 1), ((heads, 3, width), 0)):
            if made.shape[-1] == 3 * heads * width:
                split = made.unflatten(-1, layout).select(-3 + (1 - axis), 2)
                if _same(split.flatten(-2), v):
                    return Projections([linear], layout, axis, output, *around(linear))
    return "its values come from no linear layer as they are"


def _same(values: object, expected: Tensor) -> bool:
    return (
        isinstance(values, Tensor) and values.shape == expected.shape and is_close(values, expected)
    )


def _parent(block: nn.Module, module: nn.Module) -> nn.Module:
    return next(p for p in block.modules() if any(child is module for child in p.children()))


def _holders(block: nn.Module, *linear: nn.Module) -> list[nn.Module]:
    """The modules around these up to the block, and all that they hold but linear layers.

    Of the block itself only where it holds one of these: then it is the attention.
    """
    around: dict[nn.Module, None] = {}
    for module in linear:
        parent = _parent(block, module)
        if parent is block:
            around[block] = None
        while parent is not block:
            around.update(dict.fromkeys(parent.modules()))
            parent = _parent(block, parent)
    return [each for each in around if not isinstance(each, nn.Linear)]


def _say_fewer(holder: nn.Module, total: int, width: int, count: int) -> None:
    """Say in a module's attributes that there are fewer heads."""
    for name in _HEADS:
        if vars(holder).get(name) == total:
            setattr(holder, name, count)
    for name in _WIDTHS:
        if vars(holder).get(name) == total * width:
            setattr(holder, name, count * width)


def _tables(block: nn.Module) -> list[nn.Module]:
    return [m for m in block.modules() if any(_BIAS_TABLE in name for name in m._parameters)]


def _cut_tables(module: nn.Module, total: int, index: Tensor) -> None:
    """Keep the position biases of some heads, [distance, head]."""
    for name, table in list(module._parameters.items()):
        if table is not None and _BIAS_TABLE in name and table.shape[-1] == total:
            part = table.detach().index_select(-1, index)
            setattr(module, name, nn.Parameter(part, table.requires_grad))


def _replace(linear: nn.Linear, weight: Tensor, bias: Tensor | None) -> None:
    """Give a linear layer other weights in place: whoever holds it goes on holding it."""
    other = linear_of(weight, bias)
    linear.weight, linear.bias = other.weight, other.bias
    linear.out_features, linear.in_features = other.out_features, other.in_features
