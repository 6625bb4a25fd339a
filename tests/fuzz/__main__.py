"""All attacks, as a table: python -m tests.fuzz [--share 0.1]."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable

from tests.fuzz import files, interrupts, messages, pictures, storms
from tests.fuzz.count import Count


def ctrl_c(times: int, seed: int) -> Count:
    """Interrupts as other attacks are counted: right is what left nothing behind."""
    pressed = interrupts.interrupt(max(1, times // 10), seed)  # of each of ten actions
    failed = [*pressed.residue, *pressed.failed]
    return Count(right=pressed.interrupted + pressed.ended - len(failed), failed=failed)


ATTACKS: dict[str, tuple[Callable[[int, int], Count], int]] = {
    "pictures": (pictures.attack, 5_000),
    "messages and selections": (messages.attack, 5_000),
    "storms of clicks": (storms.attack, 500),
    "files": (files.attack, 5_000),
    "Ctrl-C": (ctrl_c, 10_000),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--share", type=float, default=1.0, help="of the usual number of attacks")
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    print("| attack | tried | right | refused | failed | seconds |\n|---|---|---|---|---|---|")
    failed: list[str] = []
    for name, (attack, times) in ATTACKS.items():
        started = time.perf_counter()
        count = attack(max(1, int(times * asked.share)), asked.seed)
        seconds = time.perf_counter() - started
        numbers = (count.tried, count.right, count.refused, len(count.failed))
        print(f"| {name} | {' | '.join(f'{n:,}' for n in numbers)} | {seconds:.0f} |", flush=True)
        failed += count.failed
    print("", *failed, sep="\n\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
