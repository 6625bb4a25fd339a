"""Multiplications of a piece of work, counted: the same on every machine, however busy."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

_FUSED = {
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: (2, 0),
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward: (5, 1),
}
"""Fused attention of CPUs, which PyTorch's own counter leaves out.

How many products of [query, key, head_dim] it computes, and where the queries stand among its
arguments; the keys follow.
"""


class _Counter(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.total = 0

    def __torch_dispatch__(  # type: ignore[override]
        self,
        func: torch._ops.OpOverload,
        types: Sequence[type],
        args: tuple[object, ...] = (),
        kwargs: dict[str, object] | None = None,
    ) -> object:
        packet = func._overloadpacket
        if packet not in _FUSED and packet not in flop_registry:
            with self:  # in inference mode a linear layer comes whole
                parts = func.decompose(*args, **(kwargs or {}))
            if parts is not NotImplemented:
                return parts  # type: ignore[no-any-return]
        result = func(*args, **(kwargs or {}))
        if packet in _FUSED:
            products, at = _FUSED[packet]
            q, k = args[at], args[at + 1]
            assert isinstance(q, Tensor)
            assert isinstance(k, Tensor)
            self.total += products * q.numel() * k.shape[-2]
        elif packet in flop_registry:
            self.total += flop_registry[packet](*args, **(kwargs or {}), out_val=result) // 2
        return result


def multiplications(run: Callable[[], object]) -> int:
    """Of matrix products and convolutions; what is added or taken elementwise is left out."""
    with _Counter() as counter:
        run()
    return counter.total
