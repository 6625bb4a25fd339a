"""Timing side by side, and memory in a process of its own."""

from __future__ import annotations

import argparse
import gc
import json
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import timm
import torch


@dataclass(frozen=True)
class Ratio:
    """A time against the reference's time of the same round: median and quartiles."""

    median: float
    low: float
    high: float
    seconds: float

    def __str__(self) -> str:
        return f"{self.median:.2f} ({self.low:.2f} to {self.high:.2f})"


def side_by_side(
    candidates: Mapping[str, Callable[[], object]], reference: str, rounds: int = 7
) -> dict[str, Ratio]:
    """Run every candidate once a round, in turn, and compare it with that round's reference.

    Machines are shared: what slows one candidate of a round slows its neighbours too, so the
    ratio within a round says more than a time does. On a GPU a run ends when the device has
    done all of it.
    """
    times: dict[str, list[float]] = {name: [] for name in candidates}
    for run in candidates.values():
        seconds(run)  # warm up: allocator, kernels, caches
    for _ in range(rounds):
        for name, run in candidates.items():
            times[name].append(seconds(run))
    ratios_of = {}
    for name, taken in times.items():
        ratios = [t / r for t, r in zip(taken, times[reference], strict=True)]
        low, median, high = statistics.quantiles(ratios, n=4)
        ratios_of[name] = Ratio(median, low, high, statistics.median(taken))
    return ratios_of


def seconds(run: Callable[[], object]) -> float:
    """What a run takes, until the device has done all of it."""
    start = time.perf_counter()
    run()
    if torch.cuda.is_initialized():
        torch.cuda.synchronize()
    return time.perf_counter() - start


def extra_mib(run: Callable[[], object], device: str = "cpu") -> float:
    """How far a run's peak lies above the memory in use when it starts, in MiB.

    On the CPU this is the process's resident size, its peak set back first where the system can
    (Linux); elsewhere earlier peaks hide a part of the run's.
    """
    gc.collect()
    if device != "cpu":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        run()
        return (torch.cuda.max_memory_allocated() - before) / 2**20
    status, reset = Path("/proc/self/status"), Path("/proc/self/clear_refs")
    if not reset.exists():
        before = _largest_resident()
        run()
        return _largest_resident() - before
    reset.write_text("5")
    before = _field(status, "VmRSS")
    run()
    return _field(status, "VmHWM") - before


def _field(status: Path, name: str) -> float:
    line = next(line for line in status.read_text().splitlines() if line.startswith(name))
    return int(line.split()[1]) / 1024


def _largest_resident() -> float:
    scale = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale / 2**20


def in_fresh_process(module: str, *arguments: str) -> dict[str, float]:
    """Run ``python -m module arguments`` and read the JSON object on its last line."""
    command = [sys.executable, "-m", module, *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    result: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    return result


@dataclass(frozen=True)
class Row:
    """A line of a table."""

    question: str
    measured: str
    goal: str = ""
    ratio: Ratio | None = None


def said(row: Row) -> Row:
    """The row, told while the others are still to come."""
    print(f"{row.question}: {row.measured}", file=sys.stderr, flush=True)
    return row


def write_table(
    rows: Sequence[Row], mark: str, options: argparse.Namespace, keep: bool, note: str = ""
) -> None:
    """Print a table; keep it between its marks in ``benchmarks/README.md``."""
    lines = ["| question | measured | goal |", "|---|---|---|"]
    lines += [f"| {row.question} | {row.measured} | {row.goal} |" for row in rows]
    table = "\n".join(lines)
    print(table)
    if not keep:
        return
    write_between(mark, f"{setting(options)} {note}".strip() + f"\n\n{table}")


def setting(options: argparse.Namespace) -> str:
    """Versions, machine and rounds, as a sentence."""
    device = getattr(options, "device", "cpu")
    where = f"CPU, {options.threads} thread{'' if options.threads == 1 else 's'}"
    if device != "cpu":
        where = f"{torch.cuda.get_device_name()}, {options.dtype}"
    rounds = getattr(options, "rounds", 0)
    rounds = f", median and quartiles of {rounds} rounds" if rounds else ""
    return (
        f"Python {platform.python_version()}, torch {torch.__version__}, timm {timm.__version__}, "
        f"{where}{rounds}."
    )


def write_between(mark: str, text: str) -> None:
    """Put a text between its marks in ``benchmarks/README.md``."""
    page = Path(__file__).with_name("README.md")
    before, opening, rest = page.read_text().partition(f"<!-- {mark} -->")
    if not opening:
        raise SystemExit(f"{page} has no mark <!-- {mark} -->.")
    after = rest.partition(f"<!-- /{mark} -->")[2]
    page.write_text(f"{before}{opening}\n{text}\n<!-- /{mark} -->{after}")


def on_device(parser: argparse.ArgumentParser) -> None:
    """The options of where to run."""
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--write", action="store_true", help="write benchmarks/README.md")
