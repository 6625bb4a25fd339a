"""How far a curve stays near its first value."""

from __future__ import annotations

import math
from collections.abc import Sequence

__all__ = ["heads_within"]


def heads_within(values: Sequence[float], share: float, *, either_way: bool = False) -> int | None:
    """How many heads can go while at every step this share of the first value is left.

    Parameters
    ----------
    values : sequence of float
        From no head removed on.
    share : float
    either_way : bool
        Of values that mean themselves: while they move by no more than the rest, up or down.

    Returns
    -------
    int or None
        None while no step is seen to be too far.
    """
    whole = values[0]
    for count, value in enumerate(values):
        moved = abs(value - whole) if either_way else whole - value
        most = (1 - share) * (abs(whole) if either_way else whole)
        if moved > most and not math.isclose(moved, most, rel_tol=1e-6):
            return count - 1
    return None
