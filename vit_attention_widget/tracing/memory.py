"""Batch sizes that fit into memory, and what to do when one does not."""

from __future__ import annotations

import ctypes
import os
from functools import cache

import torch

from .trace import Trace

__all__ = ["batch_limit", "is_out_of_memory", "keep_freed_blocks", "release"]

_FRACTION = 0.5
"""Fraction of the free memory that one batch may take."""

_CPU_TOKENS = 1200
"""Tokens per batch on a CPU; larger batches overflow its caches and run slower."""

_MAX_BATCH = 512

_trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if os.name == "posix" else None


def batch_limit(trace: Trace) -> int:
    """Number of images that the memory free now lets through the blocks at once."""
    device = trace.inputs.device
    tokens, width = trace.layers[0].input.shape[1:]
    limit = max(1, _CPU_TOKENS // tokens) if device.type == "cpu" else _MAX_BATCH
    free = free_bytes(device)
    if free is None:
        return min(limit, 64)
    heads, size = max(trace.num_heads), trace.layers[0].input.element_size()
    # q, k, v, out, two norms, the residual, and a hidden layer of four times the width, twice
    block_bytes = tokens * width * 16 * size
    if trace.layers[0].bias is not None:  # without a fused kernel, scores and weights take memory
        block_bytes += 2 * heads * tokens * tokens * size
    return int(max(1, min(limit, _FRACTION * free // block_bytes)))


def free_bytes(device: torch.device) -> int | None:
    """Free memory of a device in bytes, or None if it cannot be determined."""
    if device.type == "cuda":
        cached = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return int(torch.cuda.mem_get_info(device)[0] + cached)
    if device.type == "cpu" and "SC_AVPHYS_PAGES" in getattr(os, "sysconf_names", {}):
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return None


def keep_freed_blocks(device: torch.device) -> None:
    """Make the C library keep freed memory, up to some 60 MB, for the next layer or pass.

    glibc returns large blocks to the system as soon as they are freed, and whoever comes next pays
    for them in page faults (a tenth of the time here). Its threshold for large rises to the largest
    block freed so far, up to 32 MiB, so freeing one block of nearly that size raises it for good.
    """
    if device.type == "cpu":
        _free_a_large_block()


@cache
def _free_a_large_block() -> None:
    torch.empty(31 * 2**20, dtype=torch.uint8)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error means that memory ran out."""
    if isinstance(error, torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and "can't allocate memory" in str(error)


def release(device: torch.device) -> None:
    """Return the allocator's cached memory to the device; on a CPU what glibc holds free."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif device.type == "cpu" and _trim is not None:
        _trim(0)
