"""How much may run at once."""

from __future__ import annotations

import os

import torch

from .trace import Trace

__all__ = ["batch_limit", "is_out_of_memory", "keep_freed_blocks", "release"]

_SHARE = 0.5
"""Of the free memory, for one batch."""

_CPU_TOKENS = 1200
"""In one batch on a CPU: more no longer fit its caches, and are slower."""

_MOST = 512


def batch_limit(trace: Trace) -> int:
    """Images that may go through the model's blocks at once, from what memory is free now."""
    device = trace.inputs.device
    tokens, width = trace.layers[0].input.shape[1:]
    most = max(1, _CPU_TOKENS // tokens) if device.type == "cpu" else _MOST
    free = free_bytes(device)
    if free is None:
        return min(most, 64)
    heads, size = max(trace.num_heads), trace.layers[0].input.element_size()
    # q, k, v, out, two norms, the residual, and a hidden layer of four times the width, twice
    a_block = tokens * width * 16 * size
    if trace.layers[0].bias is not None:  # no fused kernel then: scores and weights are formed
        a_block += 2 * heads * tokens * tokens * size
    return int(max(1, min(most, _SHARE * free // a_block)))


def free_bytes(device: torch.device) -> int | None:
    """Memory that is free on a device, where that can be known."""
    if device.type == "cuda":
        cached = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return int(torch.cuda.mem_get_info(device)[0] + cached)
    if device.type == "cpu" and "SC_AVPHYS_PAGES" in getattr(os, "sysconf_names", {}):
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return None


def keep_freed_blocks(device: torch.device) -> None:
    """Let the C library keep what is freed for the next layer.

    glibc gives large blocks back to the system as soon as they are freed, and the next layer pays
    for them in page faults (a tenth of the time here). What it calls large rises to the largest
    block that was freed so far, up to 32 MiB.
    """
    if device.type == "cpu":
        torch.empty(31 * 2**20, dtype=torch.uint8)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that the memory was too small."""
    if isinstance(error, torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and "can't allocate memory" in str(error)


def release(device: torch.device) -> None:
    """Give back what the allocator keeps for later."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
