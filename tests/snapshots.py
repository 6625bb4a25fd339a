"""Everything about a model that must be the same before and after it was looked at."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.nn.modules import module as global_hooks
from torch.overrides import _get_current_function_mode_stack

_HOOKS = (
    "_forward_hooks",
    "_forward_pre_hooks",
    "_backward_hooks",
    "_backward_pre_hooks",
    "_state_dict_hooks",
    "_load_state_dict_pre_hooks",
)
_GLOBAL_HOOKS = (
    "_global_forward_hooks",
    "_global_forward_hooks_always_called",
    "_global_forward_hooks_with_kwargs",
    "_global_forward_pre_hooks",
    "_global_backward_hooks",
)


def snapshot(model: nn.Module) -> dict[str, Any]:
    """Modes, hooks, attributes, tensors and gradients of a model, and PyTorch's own switches."""
    state: dict[str, Any] = {
        "torch": (
            torch.is_grad_enabled(),
            torch.is_inference_mode_enabled(),
            torch.get_default_dtype(),
            len(_get_current_function_mode_stack()),
            *(len(getattr(global_hooks, name)) for name in _GLOBAL_HOOKS),
        ),
        "rng": torch.get_rng_state().tolist(),
    }
    for path, module in model.named_modules():
        state[f"{path}: class and mode"] = (
            type(module),
            module.training,
            id(getattr(module.forward, "__func__", module.forward)),
        )
        state[f"{path}: hooks"] = [len(getattr(module, name)) for name in _HOOKS]
        state[f"{path}: attributes"] = {
            name: value if isinstance(value, (bool, int, float, str)) else id(value)
            for name, value in vars(module).items()
        }
    for kind, tensors in (("p", model.named_parameters()), ("b", model.named_buffers())):
        for path, tensor in tensors:
            state[f"{kind} {path}"] = (
                id(tensor),
                tensor.requires_grad,
                tensor._version,
                tensor.detach().clone(),
                None if tensor.grad is None else tensor.grad.clone(),
                len(tensor._backward_hooks or ()),
            )
    return state


def differences(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """Keys that differ."""
    return [
        key
        for key in before.keys() | after.keys()
        if key not in before or key not in after or not _same(before[key], after[key])
    ]


@contextmanager
def untouched(*models: nn.Module) -> Iterator[None]:
    """Fail unless the models are after the body what they were before, raised or not."""
    before = [snapshot(model) for model in models]
    try:
        yield
    finally:
        changed = [differences(b, snapshot(m)) for b, m in zip(before, models, strict=True)]
        assert not any(changed), changed


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, torch.Tensor) and isinstance(b, torch.Tensor):
        return a.dtype == b.dtype and torch.equal(a.nan_to_num(7.0), b.nan_to_num(7.0))
    if isinstance(a, tuple) and isinstance(b, tuple):
        return len(a) == len(b) and all(map(_same, a, b))
    return bool(a == b)
