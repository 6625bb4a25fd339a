"""Observe every attention call of a forward pass without changing the model.

A :class:`torch.overrides.TorchFunctionMode` intercepts ``scaled_dot_product_attention``, PyTorch's
multi-head attention and, in modules without a fused path, the products before and after the
softmax. Fused kernels stay in use. PyTorch's global module hooks tell which module is running; they
are not attached to the model, and they ignore all threads but the one that set them.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import Any, overload

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn
from torch.nn.modules import module as module_hooks
from torch.nn.modules.module import (
    register_module_forward_hook,
    register_module_forward_pre_hook,
)
from torch.overrides import TorchFunctionMode
from torch.utils.hooks import RemovableHandle

from ..errors import UnsupportedModelError
from ..support.interrupts import raise_deferred_interrupt
from ..support.module_tree import paths_of
from .attention_product import (
    PRODUCTS,
    WEIGHINGS,
    attention_product,
    not_attention,
    pooling_product,
    weighs_tokens,
)
from .calls import AttentionCall, BlockCall
from .first_norm import NORM_FUNCTIONS, FirstNorm, are_equal, looks_like_norm
from .flex import ChangedScores, asks_for_gradients, flex_attention, is_flex
from .graph_breaks import GraphBreaks, in_graph
from .head_by_head import HeadByHead
from .hidden_layers import HiddenLayers
from .joined_heads import Head
from .multi_head_attention import multi_head_attention
from .parts_in_turn import PartsInTurn
from .running import RunningModules
from .torch_call import Args, Kwargs, TorchFunction
from .written_out_attention import WrittenOutAttention

__all__ = ["Capture", "rerun_with_head_outputs"]

_GRADIENT_HOOKS = {Tensor.register_hook, Tensor.retain_grad}
_SPLITS = {"view", "reshape", "unflatten"}
_FOLLOWED = frozenset(PRODUCTS | WEIGHINGS)
_NO_PARAMETERS = frozenset((Tensor, int, float, bool, str, type(None), torch.dtype, torch.Size))

# PyTorch does not remove a global hook's entry in here together with the hook.
_WITH_KWARGS: dict[int, bool] = getattr(module_hooks, "_global_forward_hooks_with_kwargs", {})


class Capture(TorchFunctionMode):
    """Observe the attention and block calls of forward passes run inside the ``with`` block.

    Parameters
    ----------
    model : nn.Module
        The model that will be run. It is read, never written.
    blocks : mapping of nn.Module to int
        Its transformer blocks, with their indices.
    on_attention : callable, optional
        Called with each :class:`AttentionCall`. If it returns a tensor, this replaces the head
        outputs [batch, head, token, head_dim], for instance to mask heads.
    on_block : callable, optional
        Called with the index of each block after it has run.
    constants : bool
        Treat parameters as constants, so that the autograd graph contains only activations.
    from_norm : bool
        Let the autograd graph begin at the norm before the first attention, if nothing below it is
        part of one.
    keep : bool
        Store the calls in ``attention_calls`` and ``block_calls``.
    token_first : bool
        Whether blocks take and return [token, batch, dim]; what is stored is [batch, token, dim].

    Attributes
    ----------
    rejected : dict
        For blocks, a product that has the shape of attention and is none, and why.
    weighs_tokens_in : str or None
        Where tokens are weighed, after all blocks, by shares in a way that is not followed.
    graph_breaks : GraphBreaks
        Where the pass left the autograd graph.
    hidden_layers : HiddenLayers
        What the graph does not keep.
    """

    def __init__(
        self,
        model: nn.Module,
        blocks: Mapping[nn.Module, int],
        on_attention: Callable[[AttentionCall], Tensor | None] | None = None,
        *,
        on_block: Callable[[int], None] | None = None,
        constants: bool = True,
        from_norm: bool = False,
        keep: bool = True,
        token_first: bool = False,
    ) -> None:
        super().__init__()
        self.attention_calls: list[AttentionCall] = []
        self.block_calls: dict[int, BlockCall] = {}
        self.rejected: dict[int, str] = {}
        self.weighs_tokens_in: str | None = None
        self.graph_breaks = GraphBreaks()
        self._paths = paths_of(model)
        self._model = model
        self._blocks = blocks
        self._first_parts: dict[nn.Module, PartsInTurn] = {}
        self._last_parts: dict[nn.Module, PartsInTurn] = {}
        block_of = dict(blocks)
        for block in blocks:
            if isinstance(block, PartsInTurn):
                self._first_parts[block.parts[0]] = self._last_parts[block.parts[-1]] = block
                block_of.update(dict.fromkeys(block.parts, blocks[block]))
        self._running = RunningModules(block_of)
        self._token_first = token_first
        self._on_attention = on_attention
        self._on_block = on_block
        self._constants = constants
        self._from_norm = from_norm
        self._keep = keep
        self._written_out = WrittenOutAttention()
        self._single_heads = HeadByHead()
        self.hidden_layers = HiddenLayers()
        self._folded: tuple[Tensor, int, int] | None = None
        self._inputs: dict[int, Args] = {}
        self._norms: dict[int, FirstNorm] = {}
        self._last_block: BlockCall | None = None
        self._handles: list[RemovableHandle] = []
        self._thread = 0
        self._follows_graph = False

    def __enter__(self) -> Capture:
        self._thread = threading.get_ident()
        self._follows_graph = self._keep and torch.is_grad_enabled()
        self._handles = [
            register_module_forward_pre_hook(self._enter_module),
            register_module_forward_hook(self._leave_module, with_kwargs=True),
        ]
        super().__enter__()
        return self

    def __exit__(self, *exc_info: object) -> None:
        super().__exit__(*exc_info)
        for handle in self._handles:
            handle.remove()
            _WITH_KWARGS.pop(handle.id, None)
        self._running.clear()
        self._inputs.clear()
        self._norms.clear()
        self.graph_breaks.clear()
        self._written_out.clear()
        self._single_heads.clear()
        self.hidden_layers.clear()
        self._folded = None

    @property
    def module(self) -> nn.Module | None:
        """The innermost module that is running."""
        return self._running.module

    @property
    def _path(self) -> str:
        """Where the innermost module that is running stands in the model."""
        return "" if self.module is None else self._paths.get(self.module, "")

    def _path_inside(self) -> str | None:
        """The same, or None outside all modules, where code is this package's own."""
        return None if self.module is None else self._path

    @property
    def block(self) -> int | None:
        """Index of the block that is running, or None."""
        return self._running.block

    def __torch_function__(
        self,
        func: TorchFunction,
        types: Collection[type],
        args: Args = (),
        kwargs: Kwargs | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if self._constants and getattr(func, "__name__", "") != "__get__":
            args = tuple([a if type(a) in _NO_PARAMETERS else _constant(a) for a in args])
            if kwargs:
                kwargs = {name: _constant(a) for name, a in kwargs.items()}
        if not self._single_heads.follows:
            return self._followed(func, args, kwargs)
        args, kwargs = self._single_heads.arguments(func, args, kwargs, self._report)
        result = self._followed(func, args, kwargs)
        self._single_heads.follow(func, args, kwargs, result)
        return result

    def _followed(self, func: TorchFunction, args: Args, kwargs: Kwargs) -> Any:
        """Run an operation, and take note of where it leaves the graph of gradients."""
        if not self._follows_graph:
            return self._run(func, args, kwargs)
        sources = self.graph_breaks.sources(func, args, kwargs)
        result = self._run(func, args, kwargs)
        self.graph_breaks.follow(func, args, kwargs, sources, result, self._path_inside)
        return result

    def _run(self, func: TorchFunction, args: Args, kwargs: Kwargs) -> Any:
        """Run an operation, and take note of it where it is part of attention or a norm."""
        if func is F.scaled_dot_product_attention:
            return self._fused(func, args, kwargs)
        if func is F.multi_head_attention_forward:
            output = multi_head_attention(args, kwargs, self._report_parts)
            if output is not None:
                return output
        if is_flex(func):
            return flex_attention(args, self._report_flex)
        if asks_for_gradients(func):
            return False
        if func in _GRADIENT_HOOKS and not args[0].requires_grad:
            # It would, were the parameters not taken as constants.
            return RemovableHandle(OrderedDict()) if func is Tensor.register_hook else None
        if self._follows_graph:
            result: Any = self.hidden_layers.run(func, args, kwargs)
        else:
            result = func(*args, **kwargs)
        if self._running.module is None:
            return result
        if func in NORM_FUNCTIONS and args and self._awaits_norm():
            result = self._add_norm(self.module, args[0], result)
        is_followed = func in _FOLLOWED or self._written_out.follows or self._folded is not None
        return self._written(func, args, result) if is_followed else result

    def _written(self, func: TorchFunction, args: Args, result: Any) -> Any:
        """Take note of a step of attention that is written out; the result to go on with."""
        if self._folded is not None:
            self._check_folded(func, args, result)
        whole = self._written_out.follow(func, args, result)
        if whole is not None and whole.explains(args[0]):
            return self._record(whole.q, whole.k, whole.v, result, whole.scale, whole.bias)
        if self.block is None:
            return self._pooled(func, args, result)
        if func not in PRODUCTS or not self._may_be_tokens(result):
            return result
        product = attention_product(func, args, result, self._batch_of(args))
        if product is None:
            return result
        reason = not_attention(product.weights)
        if reason is not None:
            self.rejected[self.block] = f"in {self._path!r} {reason}"
            return result
        v, weights = product.v, product.weights
        nothing = v.new_empty(*v.shape[:-1], 0)
        call = self._call(nothing, nothing, v, product.out, 1.0, None, weights)
        return self._folded_or_not(call, result, product.restore)

    def _pooled(self, func: Callable[..., Any], args: tuple[Any, ...], result: Any) -> Any:
        """Take note of a product after all blocks that pools their tokens; what to go on with."""
        if func not in _FOLLOWED or len(self.block_calls) < len(self._blocks):
            return result
        if func in WEIGHINGS and weighs_tokens(args):
            self.weighs_tokens_in = self._path
        product = pooling_product(args, result) if func in PRODUCTS else None
        if product is None:
            return result
        v, weights = product.v, product.weights
        nothing = v.new_empty(*weights.shape[:-1], 0), v.new_empty(*v.shape[:-1], 0)
        call = self._call(*nothing, v, product.out, 1.0, None, weights)
        return product.restore(self._report(call))

    def _folded_or_not(
        self, call: AttentionCall, result: Tensor, restore: Callable[[Tensor], Tensor]
    ) -> Tensor:
        """Take note of attention that the model may hold in another layout; what to go on with."""
        result = self._noted(call, result, restore)
        batch, heads = call.out.shape[:2]
        self._folded = (result, batch, heads) if result.ndim == 3 and batch > 1 < heads else None
        return result

    def _check_folded(self, func: TorchFunction, args: Args, result: object) -> None:
        """Images and heads in one axis were taken apart images first: see that the model does."""
        folded, batch, heads = self._folded or (None, 0, 0)
        if not args or args[0] is not folded or not isinstance(result, Tensor):
            return  # what asks for its size takes nothing apart
        self._folded = None
        if result.shape[0] == heads and getattr(func, "__name__", "") in _SPLITS:
            raise UnsupportedModelError(
                f"{self._path!r} holds heads and images in one axis, "
                + ("heads first" if heads != batch else "and as many of both")
                + ", so it cannot be seen which is which: pass one image at a time."
            )

    def _may_be_tokens(self, result: object) -> bool:
        """Whether a matrix is as long as the block's tokens; tensors of more axes may always be."""
        if not isinstance(result, Tensor) or result.ndim != 2:
            return True
        block_args = self._inputs.get(-1 if self.block is None else self.block)
        first = block_args[0] if block_args else None
        return isinstance(first, Tensor) and bool({*result.shape} & {*first.shape[:-1]})

    def _batch_of(self, args: Args) -> int:
        """Number of images in the block that is running; 0 if not known."""
        block_args = self._inputs.get(-1 if self.block is None else self.block)
        if not block_args or not isinstance(block_args[0], Tensor):
            return 0
        shape = block_args[0].shape
        tokens = {t.shape[-1] for t in args if isinstance(t, Tensor) and t.ndim}
        is_token_first = self._token_first or (
            shape[0] in tokens and len(shape) == 3 and shape[1] not in tokens
        )
        return shape[1] if is_token_first else shape[0]

    def _fused(self, func: TorchFunction, args: Args, kwargs: Kwargs) -> Tensor:
        out = func(*args, **kwargs)
        names = ("query", "key", "value", "attn_mask", "dropout_p", "is_causal")
        arguments = dict(zip(names, args, strict=False)) | kwargs
        q, k, v = arguments["query"], arguments["key"], arguments["value"]
        scale = arguments.get("scale")
        bias = arguments.get("attn_mask")
        if arguments.get("is_causal"):
            bias = torch.ones(q.shape[-2], k.shape[-2], dtype=torch.bool, device=q.device).tril()
        scale = q.shape[-1] ** -0.5 if scale is None else scale
        if q.ndim == 4:
            return self._record(q, k, v, out, scale, bias)
        return self._fused_in_one_axis(q, k, v, out, scale, bias)

    def _fused_in_one_axis(
        self, q: Tensor, k: Tensor, v: Tensor, out: Tensor, scale: float, bias: Tensor | None
    ) -> Tensor:
        """Take note of fused attention of one head, or of images and heads in one axis."""
        images = 1 if q.ndim == 2 else self._batch_of((q.mT,)) or len(q)
        if q.ndim > 3 or (q.ndim == 3 and len(q) % images):
            return out
        axis = (images, -1)
        if q.ndim == 2:
            q, k, v = q[None], k[None], v[None]
        parts = (q, k, v, out.reshape(q.shape[:-1] + v.shape[-1:]))
        q4, k4, v4, out4 = (part.unflatten(0, axis) for part in parts)
        if bias is not None and bias.ndim == 3:
            bias = bias.expand(len(q), -1, -1).unflatten(0, axis)
        call = self._call(q4, k4, v4, out4, scale, bias)
        return self._folded_or_not(call, out, lambda heads: heads.flatten(0, 1).view_as(out))

    def _record(
        self, q: Tensor, k: Tensor, v: Tensor, out: Tensor, scale: float, bias: Tensor | None
    ) -> Tensor:
        """Take note of attention in the layout in which the model goes on."""
        return self._noted(self._call(q, k, v, out, scale, bias), out, lambda heads: heads)

    def _call(
        self,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        out: Tensor,
        scale: float,
        bias: Tensor | None,
        weights: Tensor | None = None,
    ) -> AttentionCall:
        if (
            k.shape[-3] != q.shape[-3]
        ):  # grouped-query attention: several query heads share a key head
            groups = q.shape[-3] // k.shape[-3]
            k, v = k.repeat_interleave(groups, -3), v.repeat_interleave(groups, -3)
        if self.block in self._norms:
            self._norms[self.block].attended()
        return AttentionCall(self._path, self.block, q, k, v, out, scale, bias, weights)

    def _noted(
        self, call: AttentionCall, result: Tensor, restore: Callable[[Tensor], Tensor]
    ) -> Tensor:
        """Report attention, or wait for other heads where this is one; what to go on with."""
        if call.block is None or call.out.shape[1] > 1:
            return restore(self._report(call))
        self._single_heads.add(Head(call, restore), result, self._batch_of((call.v.mT,)))
        return result

    def _report_parts(
        self, q: Tensor, k: Tensor, v: Tensor, out: Tensor, scale: float, bias: Tensor | None
    ) -> Tensor:
        """Tell of an attention that has all heads of its layer."""
        return self._report(self._call(q, k, v, out, scale, bias))

    def _report_flex(
        self, q: Tensor, k: Tensor, v: Tensor, out: Tensor, scale: float, change: ChangedScores
    ) -> Tensor:
        """The same, of flex_attention."""
        return self._report(replace(self._call(q, k, v, out, scale, None), change=change))

    def _report(self, call: AttentionCall) -> Tensor:
        """Tell of the attention of a layer; the head outputs to go on with."""
        replacement = self._on_attention(call) if self._on_attention else None
        if replacement is not None:
            call.out = replacement
        if self._keep:
            call.hold()
            self.attention_calls.append(call)
        return call.out

    def _enter_module(self, module: nn.Module, args: Args) -> None:
        if threading.get_ident() != self._thread:
            return
        if self._last_block is not None:
            # Hooks on a block run after this one and may change the output: the next module's
            # input shows it.
            if (
                args
                and isinstance(args[0], Tensor)
                and self._turned(args[0]).shape == self._last_block.output.shape
            ):
                self._last_block.output = self._turned(args[0])
            self._last_block = None
        self._drop_stale(module)
        self._running.enter(module)
        parts = self._first_parts
        index = self._blocks.get(self._whole(module, parts) if parts else module)
        if index is not None:
            raise_deferred_interrupt()
            self._single_heads.clear()
            if self._keep:
                self._norms[index] = FirstNorm()
            if args:
                self._inputs[index] = args  # before hooks on the block change them

    def _drop_stale(self, module: nn.Module) -> None:
        """Drop modules that raised and were never left. Blocks do not nest in each other."""
        if module is self._model:
            self._running.clear()
        elif module in self._blocks:
            self._running.leave_outermost(self._blocks)

    def _awaits_norm(self) -> bool:
        """Whether a block is running that has not attended yet."""
        block = self._running.block
        norm = None if block is None else self._norms.get(block)
        return norm is not None and not norm.has_attended

    def _add_norm(self, module: nn.Module | None, tokens: object, output: object) -> object:
        """Take note of a norm of the block that is running; its output to go on with."""
        turned = self._turned(output)
        block = self.block
        if block is not None:
            norm = self._norms[block]
            if self._from_norm and not norm.has_attended and torch.is_grad_enabled():
                inputs = self._inputs.get(block)
                changed = output is not tokens  # what passes them on feeds the residual as well
                if inputs and changed and are_equal(tokens, inputs[0]):  # no norm of positions, say
                    turned = in_graph(turned, to_be_written=True)
            norm.add(module, self._turned(tokens), turned)
        return self._turned(turned)

    def _whole(self, module: nn.Module, ends: Mapping[nn.Module, PartsInTurn]) -> nn.Module:
        """The block of which a module is the first or last part; the module itself otherwise."""
        block = ends.get(module)
        return module if block is None or block in self._running else block

    @overload
    def _turned(self, tokens: Tensor) -> Tensor: ...

    @overload
    def _turned(self, tokens: object) -> object: ...

    def _turned(self, tokens: object) -> object:
        """Tokens as they are stored, [batch, token, dim], and back; anything else as it is."""
        if not self._token_first or not isinstance(tokens, Tensor) or tokens.ndim != 3:
            return tokens
        return tokens.transpose(0, 1)

    def _leave_module(self, module: nn.Module, args: Args, *rest: Any) -> Any:
        """Store what a module did; what it is to return where that is another view of it."""
        # While the hooks are removed, another thread may call this without keyword arguments.
        if threading.get_ident() != self._thread or self._running.module is None:
            return None
        kwargs, output = rest
        self._running.leave(module)
        block = self._whole(module, self._last_parts) if self._last_parts else module
        index = self._blocks.get(block)
        if index is None:
            if self._awaits_norm() and looks_like_norm(module, self._paths.get(module, "")):
                return self._add_norm(module, _first(args, kwargs), output)
            return None
        after_hooks = self._turned(_first(args, kwargs))
        args = self._inputs.pop(index, args)
        if block is not module:  # what its last part was given is not the block's input
            after_hooks = self._turned(_first(args, kwargs))
        if self._keep:
            first = _first(args, kwargs)
            tokens = self._turned(output[0] if isinstance(output, tuple) else output)
            normed, unclear = self._norms.pop(index, FirstNorm()).output(after_hooks)
            if normed is not None and not normed.requires_grad:
                normed = None
            others = {name: value for name, value in kwargs.items() if value is not first}
            call = BlockCall(
                self._turned(first), tuple(args[1:]), others, tokens, normed, unclear,
                self._token_first,
            )  # fmt: skip
            self.block_calls[index] = call
            changed = block is not module or _may_be_changed(module)
            self._last_block = call if changed else None
            if self._token_first:  # so that the graph goes through what is stored
                turned = self._turned(tokens)
                output = (turned, *output[1:]) if isinstance(output, tuple) else turned
        if self._single_heads.waits:
            self.rejected[index] = (
                "its heads are computed one at a time and do not come together by cat or stack"
            )
        self._single_heads.clear()
        if self._on_block:
            self._on_block(index)
        return output if self._keep and self._token_first else None


def _first(args: Args, kwargs: Kwargs) -> Any:
    """The first argument, by position or by name."""
    return args[0] if args else next(iter(kwargs.values()), None)


def _may_be_changed(module: nn.Module) -> bool:
    """Whether a hook may change a module's output; transformers' own only keep it."""
    hooks = module._forward_hooks.values()
    return any(not getattr(h, "__module__", "").startswith("transformers.") for h in hooks)


def _constant(value: object) -> object:
    if type(value) in _NO_PARAMETERS:
        return value
    if isinstance(value, nn.Parameter):
        return value.detach()
    if isinstance(value, list | tuple) and any(_constant(v) is not v for v in value):
        return type(value)([_constant(v) for v in value])
    return value


def rerun_with_head_outputs(
    model: nn.Module, block: nn.Module, call: BlockCall, head_outputs: Tensor
) -> Tensor:
    """Run a block again on its recorded input with its head outputs replaced.

    This works for every block, but computes all of it.

    Parameters
    ----------
    model, block : nn.Module
    call : BlockCall
        The recorded call of that block.
    head_outputs : Tensor
        [batch, head, token, head_dim]; the batch may be a multiple of the recorded one.

    Returns
    -------
    Tensor
        Tokens after the block, [batch, token, dim].
    """
    inputs = call.input.detach()
    if head_outputs.shape[0] != inputs.shape[0]:
        inputs = inputs.repeat(head_outputs.shape[0] // inputs.shape[0], 1, 1)
    with Capture(model, {block: 0}, lambda _: head_outputs, token_first=call.token_first):
        return call.rerun(block, inputs)
