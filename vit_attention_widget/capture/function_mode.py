"""See every attention call of a forward pass, without touching the model.

A :class:`torch.overrides.TorchFunctionMode` meets ``scaled_dot_product_attention`` (PyTorch's
multi-head attention, and, in modules without a fused path, the products around an explicit softmax)
as they are called, so fused kernels stay on. Which module is calling is known from PyTorch's global
module hooks, which live beside the model, not on it, and answer only the thread that set them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn
from torch.nn.modules import module as module_hooks
from torch.nn.modules.module import (
    register_module_forward_hook,
    register_module_forward_pre_hook,
)
from torch.overrides import TorchFunctionMode

from .multi_head_attention import multi_head_attention
from .written_out_attention import ExplicitAttention

__all__ = ["AttentionCall", "BlockCall", "Capture"]

# PyTorch leaves a removed global hook's entry behind in here.
_WITH_KWARGS: dict[int, bool] = getattr(module_hooks, "_global_forward_hooks_with_kwargs", {})


@dataclass
class AttentionCall:
    """One attention call as it was seen.

    ``q``, ``k``, ``v``, ``out`` are [batch, head, token, head_dim]; the attention is
    ``softmax(q k^T * scale + bias)``; ``bias`` broadcasts to [batch, head, query, key] or is None.
    """

    path: str
    block: int | None
    q: Tensor
    k: Tensor
    v: Tensor
    out: Tensor
    scale: float
    bias: Tensor | None


@dataclass
class BlockCall:
    """What a block was given and what it returned, enough to run it again.

    ``normed`` is what its first norm made of the input, where a gradient can be had by it.
    """

    input: Tensor
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    output: Tensor
    normed: Tensor | None = None

    @property
    def other_kwargs(self) -> dict[str, Any]:
        """Keyword arguments besides the input."""
        return {name: value for name, value in self.kwargs.items() if value is not self.input}

    def run_again(self, block: nn.Module, tokens: Tensor) -> Tensor:
        """What the block returns for other tokens [batch, token, dim], called as it was here."""
        result: Tensor | tuple[Tensor, ...] = block(tokens, *self.args, **self.other_kwargs)
        return result[0] if isinstance(result, tuple) else result


class Capture(TorchFunctionMode):
    """Record attention and block calls of the forward passes run inside the ``with`` block.

    Parameters
    ----------
    model : nn.Module
        The model that will be run. It is read, never written.
    blocks : mapping of nn.Module to int
        Its transformer blocks, with their indices.
    on_attention : callable, optional
        Called with each :class:`AttentionCall`; a tensor it returns takes the place of the head
        outputs ``out`` [batch, head, token, head_dim]. This is how heads are masked.
    on_block : callable, optional
        Called with the index of each block once it has run.
    constants : bool
        Treat parameters as constants, so that an autograd graph holds activations only.
    keep : bool
        Keep the calls in ``attention_calls`` and ``block_calls``.
    """

    def __init__(
        self,
        model: nn.Module,
        blocks: Mapping[nn.Module, int],
        on_attention: Callable[[AttentionCall], Tensor | None] | None = None,
        *,
        on_block: Callable[[int], None] | None = None,
        constants: bool = True,
        keep: bool = True,
    ) -> None:
        super().__init__()
        self.attention_calls: list[AttentionCall] = []
        self.block_calls: dict[int, BlockCall] = {}
        self._paths = {module: path for path, module in model.named_modules()}
        self._model = model
        self._blocks = blocks
        self._on_attention = on_attention
        self._on_block = on_block
        self._constants = constants
        self._keep = keep
        self._explicit = ExplicitAttention()
        self._stack: list[nn.Module] = []
        self._inputs: dict[int, tuple[Any, ...]] = {}
        self._normed: dict[int, Tensor] = {}
        self._left: BlockCall | None = None
        self._handles: list[Any] = []
        self._thread = 0

    def __enter__(self) -> Capture:
        self._thread = threading.get_ident()
        self._handles = [
            register_module_forward_pre_hook(self._enter_module),
            register_module_forward_hook(self._leave_module, with_kwargs=True),
        ]
        super().__enter__()
        return self

    def __exit__(self, *exc_info: Any) -> None:
        super().__exit__(*exc_info)
        for handle in self._handles:
            handle.remove()
            _WITH_KWARGS.pop(handle.id, None)
        self._stack.clear()
        self._inputs.clear()
        self._normed.clear()
        self._explicit.clear()

    @property
    def module(self) -> nn.Module | None:
        """The innermost module that is running now."""
        return self._stack[-1] if self._stack else None

    @property
    def block(self) -> int | None:
        """Index of the block that is running now."""
        return next((self._blocks[m] for m in self._stack if m in self._blocks), None)

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if self._constants and getattr(func, "__name__", "") != "__get__":
            args = tuple(_constant(a) for a in args)
            kwargs = {name: _constant(a) for name, a in kwargs.items()}
        if func is F.scaled_dot_product_attention:
            return self._fused(func, args, kwargs)
        if func is F.multi_head_attention_forward:
            answered = multi_head_attention(args, kwargs, self._seen)
            if answered is not None:
                return answered
        result = func(*args, **kwargs)
        if self._stack:
            found = self._explicit.follow(func, args, kwargs, result)
            if found is not None:
                return self._seen(found.q, found.k, found.v, result, found.scale, found.bias)
        return result

    def _fused(
        self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Tensor:
        out = func(*args, **kwargs)
        names = ("query", "key", "value", "attn_mask", "dropout_p", "is_causal")
        given = dict(zip(names, args, strict=False)) | kwargs
        q, k, v = given["query"], given["key"], given["value"]
        scale = given.get("scale")
        bias = given.get("attn_mask")
        if given.get("is_causal"):
            bias = torch.ones(q.shape[-2], k.shape[-2], dtype=torch.bool, device=q.device).tril()
        return self._seen(q, k, v, out, q.shape[-1] ** -0.5 if scale is None else scale, bias)

    def _seen(
        self, q: Tensor, k: Tensor, v: Tensor, out: Tensor, scale: float, bias: Tensor | None
    ) -> Tensor:
        if k.shape[-3] != q.shape[-3]:  # grouped-query attention: one key head serves several
            groups = q.shape[-3] // k.shape[-3]
            k, v = k.repeat_interleave(groups, -3), v.repeat_interleave(groups, -3)
        module = self.module
        path = self._paths.get(module, "") if module is not None else ""
        call = AttentionCall(path, self.block, q, k, v, out, scale, bias)
        replaced = self._on_attention(call) if self._on_attention else None
        if replaced is not None:
            call.out = replaced
        if self._keep:
            self.attention_calls.append(call)
        return call.out

    def _enter_module(self, module: nn.Module, args: Any) -> None:
        if threading.get_ident() != self._thread:
            return
        if self._left is not None:
            # The user's own hooks on a block run after ours: what follows is given their output.
            if args and isinstance(args[0], Tensor) and args[0].shape == self._left.output.shape:
                self._left.output = args[0]
            self._left = None
        self._drop_stale(module)
        self._stack.append(module)
        index = self._blocks.get(module)
        if index is not None and args:
            self._inputs[index] = args  # before the user's own hooks change them

    def _drop_stale(self, module: nn.Module) -> None:
        """Forget modules that raised and so never left; the model is outermost, no block nests."""
        if module is self._model:
            self._stack.clear()
        elif module in self._blocks:
            start = next((i for i, m in enumerate(self._stack) if m in self._blocks), None)
            if start is not None:
                del self._stack[start:]

    def _leave_module(self, module: nn.Module, args: Any, *rest: Any) -> None:
        # Another thread may call this without the keyword arguments, while we are on our way out.
        if threading.get_ident() != self._thread or not self._stack:
            return
        kwargs, output = rest
        while self._stack and self._stack.pop() is not module:
            pass
        index = self._blocks.get(module)
        if index is None:
            self._note_norm(module, args, output)
            return
        args = self._inputs.pop(index, args)
        if self._keep:
            first = args[0] if args else next(iter(kwargs.values()))
            tokens = output[0] if isinstance(output, tuple) else output
            normed = self._normed.pop(index, None)
            call = BlockCall(first, tuple(args[1:]), dict(kwargs), tokens, normed)
            self.block_calls[index] = call
            self._left = call if module._forward_hooks else None
        if self._on_block:
            self._on_block(index)

    def _note_norm(self, module: nn.Module, args: Any, output: Any) -> None:
        """Keep what the first norm of a block makes of the block's own input."""
        block = self.block
        if not self._keep or block is None or block in self._normed or not args:
            return
        given = self._inputs.get(block)
        is_first = given is not None and args[0] is given[0]
        if is_first and "norm" in type(module).__name__.lower() and output.requires_grad:
            self._normed[block] = output


def _constant(value: Any) -> Any:
    if isinstance(value, nn.Parameter):
        return value.detach()
    if isinstance(value, list | tuple) and any(isinstance(v, nn.Parameter) for v in value):
        return type(value)([_constant(v) for v in value])
    return value


def rerun_block(
    model: nn.Module, block: nn.Module, call: BlockCall, head_outputs: Tensor
) -> Tensor:
    """Run a block again on its recorded input, with other head outputs put in place of its own.

    This works for a block of any form, at the price of the whole block.
    """
    inputs = call.input.detach()
    if head_outputs.shape[0] != inputs.shape[0]:
        inputs = inputs.repeat(head_outputs.shape[0] // inputs.shape[0], 1, 1)
    with Capture(model, {block: 0}, lambda _: head_outputs):
        return call.run_again(block, inputs)
