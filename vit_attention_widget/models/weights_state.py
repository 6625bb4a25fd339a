"""Whether a model is still what it was when it was run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ..capture.writes import version_of
from ..errors import StaleTraceError
from ..support.identity import identity_of
from ..support.interrupts import interrupts_deferred
from ..support.module_tree import modules_of

__all__ = ["WeightsState", "hooks_of"]

_SAMPLES = 64.618
"""Values of each tensor that are compared. No whole number: they fall into different columns."""

_PLAIN = (Tensor, nn.Parameter)
"""What can be sampled; other libraries' tensors (quantized, sharded) are known by their version."""


class _TensorState(NamedTuple):
    version: int
    dtype: torch.dtype
    device: torch.device
    shape: torch.Size


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
        modules = modules_of(model)
        tensors = [tensor for module in modules for _, tensor in _tensors(module)]
        states = (_TensorState(version_of(t), t.dtype, t.device, t.shape) for t in tensors)
        return cls(tuple(map(type, modules)), tuple(states), _sample(tensors))

    def difference(self, model: nn.Module) -> str | None:
        """What is different now, in words; None where nothing is."""
        now = WeightsState.of(model)
        if now.parts != self.parts or _shapes(now) != _shapes(self):
            return "parts of it were replaced"
        pairs = list(zip(self.tensors, now.tensors, strict=True))
        changed = [i for i, (before, after) in enumerate(pairs) if before != after]
        if not changed:
            return None if now.sample == self.sample else "its weights were changed"
        before, after = pairs[changed[0]]
        if before.device != after.device:
            how = f"moved from {before.device} to {after.device}"
        elif before.dtype != after.dtype:
            how = f"turned from {before.dtype} into {after.dtype}"
        else:
            how = "changed"
        others = f" and {len(changed) - 1} others" if changed[1:] else ""
        return f"its weights were {how} ({_names(model)[changed[0]]}{others})"

    def check(self, model: nn.Module, name: str) -> None:
        """Raise :class:`StaleTraceError` if the model has changed since."""
        difference = self.difference(model)
        if difference is not None:
            raise StaleTraceError(
                f"{name} is no longer the model that was traced: {difference}. Trace again."
            )


def hooks_of(model: nn.Module) -> tuple[object, ...]:
    """What may change what a model computes, besides its parts: hooks and patched ``forward``.

    Each hook has a number of its own in this process. What ``forward`` is patched with has not: it
    may be made where one before it was.
    """
    return tuple(
        (
            place,
            *module._forward_pre_hooks,
            *module._forward_hooks,
            identity_of(vars(module).get("forward")),
        )
        for place, module in enumerate(modules_of(model))
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
@torch.no_grad()
def _sample(tensors: Iterable[Tensor]) -> bytes:
    """Some values of each tensor, bit by bit: NaN is like NaN, and rounding is a change."""
    alike: dict[tuple[torch.dtype, torch.device], list[Tensor]] = {}
    for tensor in tensors:
        if type(tensor) in _PLAIN and tensor.layout is torch.strided and not tensor.is_meta:
            alike.setdefault((tensor.dtype, tensor.device), []).append(_spread(tensor))
    values = (torch.cat(samples).view(torch.uint8) for samples in alike.values())
    return b"".join(each.cpu().numpy().tobytes() for each in values)


def _spread(tensor: Tensor) -> Tensor:
    """Values at equal distances over a tensor, [value]."""
    total = tensor.numel()
    step = max(1, int(total / _SAMPLES))
    if tensor.is_contiguous():
        return tensor.as_strided(((total + step - 1) // step,), (step,))
    if tensor.dtype.is_floating_point and tensor.element_size() == 1:  # float8 can only be viewed
        return _spread(tensor.view(torch.uint8)).view(tensor.dtype)
    return tensor.take(torch.arange(0, total, step, device=tensor.device))


def _shapes(state: WeightsState) -> list[torch.Size]:
    return [tensor.shape for tensor in state.tensors]


def _names(model: nn.Module) -> list[str]:
    """The name of each tensor of a state."""
    modules = model.named_modules()
    return [
        f"{path}.{name}".lstrip(".") for path, module in modules for name, _ in _tensors(module)
    ]
