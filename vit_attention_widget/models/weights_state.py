"""Whether a model is still what it was when it was run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

import torch
from torch import Tensor, nn

from ..capture.writes import versions_of
from ..errors import StaleTraceError
from ..support.identity import identity_of
from ..support.interrupts import interrupts_deferred
from ..support.module_tree import modules_of

__all__ = ["WeightsState", "hooks_of"]

_SAMPLES = 64.618
"""Values of each tensor that are compared. No whole number: they fall into different columns."""

_PLAIN = frozenset((Tensor, nn.Parameter))
"""What can be sampled; other libraries' tensors (quantized, sharded) are known by their version."""


_TensorState: TypeAlias = tuple[int, torch.dtype, torch.device, torch.Size]
"""A tensor's version, dtype, device and shape."""


@dataclass(frozen=True, eq=False)
class WeightsState:
    """A model's parts, and the state of its parameters and saved buffers.

    Writing to a tensor raises its version. Writing to ``.data`` does not, so some values of each
    tensor are compared too: of a change by ``.data``, any that fills a 64th of a tensor is seen.

    Training mode is no part of it, because a model is always run in evaluation mode here; nor are
    buffers that are not saved, which models fill while they run.
    """

    parts: tuple[type[nn.Module], ...]
    tensors: tuple[_TensorState, ...]
    sample: bytes

    @classmethod
    def of(cls, model: nn.Module) -> WeightsState:
        """The state of a model now, at a small part of the cost of running it."""
        return cls.of_modules(modules_of(model))

    @classmethod
    def of_modules(cls, modules: Sequence[nn.Module]) -> WeightsState:
        """The same, where the modules of the model have just been listed."""
        tensors = [
            tensor
            for module in modules
            if module._parameters or module._buffers  # most have none
            for _, tensor in _tensors(module)
        ]
        states = tuple(
            (version, tensor.dtype, tensor.device, tensor.shape)
            for version, tensor in zip(versions_of(tensors), tensors, strict=True)
        )
        return cls(tuple(map(type, modules)), states, _sample(tensors, states))

    def difference(self, model: nn.Module) -> str | None:
        """What is different now, in words; None where nothing is."""
        return self._difference(WeightsState.of(model), model)

    def _difference(self, now: WeightsState, model: nn.Module) -> str | None:
        if now.parts == self.parts and now.tensors == self.tensors:
            return None if now.sample == self.sample else "its weights were changed"
        if now.parts != self.parts or _shapes(now) != _shapes(self):
            return "parts of it were replaced"
        pairs = list(zip(self.tensors, now.tensors, strict=True))
        changed = [i for i, (before, after) in enumerate(pairs) if before != after]
        (_, dtype, device, _), (_, dtype_now, device_now, _) = pairs[changed[0]]
        if device != device_now:
            how = f"moved from {device} to {device_now}"
        elif dtype != dtype_now:
            how = f"turned from {dtype} into {dtype_now}"
        else:
            how = "changed"
        others = f" and {len(changed) - 1} others" if changed[1:] else ""
        return f"its weights were {how} ({_names(model)[changed[0]]}{others})"

    def check(self, model: nn.Module, name: str, modules: Sequence[nn.Module]) -> None:
        """Raise :class:`StaleTraceError` if the model, of these modules, has changed since."""
        difference = self._difference(WeightsState.of_modules(modules), model)
        if difference is not None:
            raise StaleTraceError(
                f"{name} is no longer the model that was traced: {difference}. Trace again."
            )


def hooks_of(model: nn.Module, modules: Sequence[nn.Module] | None = None) -> tuple[object, ...]:
    """What may change what a model computes, besides its parts: hooks and patched ``forward``.

    Each hook has a number of its own in this process. What ``forward`` is patched with has not: it
    may be made where one before it was. ``modules`` are those of the model, where they have just
    been listed.
    """
    return tuple(
        (
            place,
            *module._forward_pre_hooks,
            *module._forward_hooks,
            identity_of(vars(module).get("forward")),
        )
        for place, module in enumerate(modules_of(model) if modules is None else modules)
        if module._forward_pre_hooks or module._forward_hooks or "forward" in vars(module)
    )


def _tensors(module: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """A module's own parameters and saved buffers, by name."""
    for name, parameter in module._parameters.items():
        if parameter is not None:
            yield name, parameter
    for name, buffer in module._buffers.items():
        if buffer is not None and name not in module._non_persistent_buffers_set:
            yield name, buffer


@interrupts_deferred()
@torch.inference_mode()
def _sample(tensors: Sequence[Tensor], states: Sequence[_TensorState]) -> bytes:
    """Some values of each tensor, bit by bit: NaN is like NaN, and rounding is a change."""
    alike: dict[tuple[torch.dtype, torch.device], list[Tensor]] = {}
    for tensor, (_, dtype, device, _) in zip(tensors, states, strict=True):
        if type(tensor) in _PLAIN and tensor.layout is torch.strided and device.type != "meta":
            alike.setdefault((dtype, device), []).append(_spread(tensor))
    values = (torch.cat(samples).view(torch.uint8) for samples in alike.values())
    return b"".join(each.cpu().numpy().tobytes() for each in values)


def _spread(tensor: Tensor) -> Tensor:
    """Values at equal distances over a tensor, [value]."""
    total = tensor.numel()
    count, step = _grid(total)
    if tensor.is_contiguous():
        return tensor.as_strided(count, step)
    if tensor.dtype.is_floating_point and tensor.element_size() == 1:  # float8 can only be viewed
        return _spread(tensor.view(torch.uint8)).view(tensor.dtype)
    return tensor.take(torch.arange(0, total, *step, device=tensor.device))


@lru_cache(4096)
def _grid(total: int) -> tuple[tuple[int], tuple[int]]:
    """How many values of so many are compared, and their distance: a view's shape and stride."""
    step = max(1, int(total / _SAMPLES))
    return ((total + step - 1) // step,), (step,)


def _shapes(state: WeightsState) -> list[torch.Size]:
    return [shape for _, _, _, shape in state.tensors]


def _names(model: nn.Module) -> list[str]:
    """The name of each tensor of a state."""
    modules = model.named_modules()
    return [
        f"{path}.{name}".lstrip(".") for path, module in modules for name, _ in _tensors(module)
    ]
