"""Ten kinds of objects as signed distances: negative inside, about one unit a radius."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

__all__ = ["KINDS", "bar", "blob", "signed_distance"]


def _circle(x: Tensor, y: Tensor) -> Tensor:
    return torch.hypot(x, y) - 0.85


def _box(x: Tensor, y: Tensor, width: float, height: float) -> Tensor:
    dx, dy = x.abs() - width, y.abs() - height
    outside = torch.hypot(dx.clamp_min(0), dy.clamp_min(0))
    return outside + torch.maximum(dx, dy).clamp_max(0)


def _square(x: Tensor, y: Tensor) -> Tensor:
    return _box(x, y, 0.75, 0.75)


def _polygon(x: Tensor, y: Tensor, points: list[tuple[float, float]]) -> Tensor:
    """Distance to the nearest edge, with the sign of the winding number (even-odd)."""
    nearest = torch.full_like(x, math.inf)
    inside = torch.zeros_like(x, dtype=torch.bool)
    for (ax, ay), (bx, by) in zip(points, points[1:] + points[:1], strict=True):
        ex, ey = bx - ax, by - ay
        along = ((x - ax) * ex + (y - ay) * ey) / (ex * ex + ey * ey)
        along = along.clamp(0, 1)
        nearest = torch.minimum(nearest, torch.hypot(x - ax - along * ex, y - ay - along * ey))
        if ay != by:
            crosses = (ay > y) != (by > y)
            inside ^= crosses & (x < ax + ex * (y - ay) / ey)
    return torch.where(inside, -nearest, nearest)


def _around(radii: list[float], start: float = -math.pi / 2) -> list[tuple[float, float]]:
    step = 2 * math.pi / len(radii)
    return [
        (r * math.cos(start + i * step), r * math.sin(start + i * step))
        for i, r in enumerate(radii)
    ]


def _triangle(x: Tensor, y: Tensor) -> Tensor:
    return _polygon(x, y, _around([1.0] * 3))


def _star(x: Tensor, y: Tensor) -> Tensor:
    return _polygon(x, y, _around([1.05, 0.45] * 5))


def _ring(x: Tensor, y: Tensor) -> Tensor:
    return (torch.hypot(x, y) - 0.7).abs() - 0.22


def _cross(x: Tensor, y: Tensor) -> Tensor:
    return torch.minimum(_box(x, y, 0.95, 0.3), _box(x, y, 0.3, 0.95))


def _heart(x: Tensor, y: Tensor) -> Tensor:
    left = torch.hypot(x + 0.42, y + 0.3) - 0.52
    right = torch.hypot(x - 0.42, y + 0.3) - 0.52
    tip = _polygon(x, y, [(-0.86, -0.02), (0.0, -0.45), (0.86, -0.02), (0.0, 0.95)])
    return torch.minimum(torch.minimum(left, right), tip)


def _moon(x: Tensor, y: Tensor) -> Tensor:
    return torch.maximum(torch.hypot(x, y) - 0.95, 0.72 - torch.hypot(x - 0.42, y))


def _arrow(x: Tensor, y: Tensor) -> Tensor:
    points = [
        (-0.95, -0.22),
        (0.05, -0.22),
        (0.05, -0.68),
        (1.0, 0.0),
        (0.05, 0.68),
        (0.05, 0.22),
        (-0.95, 0.22),
    ]
    return _polygon(x, y, points)


def _flower(x: Tensor, y: Tensor) -> Tensor:
    radius = 0.66 + 0.32 * torch.cos(6 * torch.atan2(y, x))
    return (torch.hypot(x, y) - radius) * 0.6  # the outline is steep: keep the edge soft


_SHAPES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "circle": _circle,
    "square": _square,
    "triangle": _triangle,
    "star": _star,
    "ring": _ring,
    "cross": _cross,
    "heart": _heart,
    "moon": _moon,
    "arrow": _arrow,
    "flower": _flower,
}

KINDS: tuple[str, ...] = tuple(_SHAPES)
"""Names of the ten kinds, in the order of the classes."""


def signed_distance(kind: int, x: Tensor, y: Tensor) -> Tensor:
    """Signed distance to the outline of a kind, in object coordinates."""
    return _SHAPES[KINDS[kind]](x, y)


def bar(x: Tensor, y: Tensor) -> Tensor:
    """A distractor: a long thin bar."""
    return _box(x, y, 1.0, 0.13)


def blob(x: Tensor, y: Tensor) -> Tensor:
    """A distractor: an uneven bean."""
    bend = 0.25 * torch.sin(3 * x)
    return (torch.hypot(x, 2.4 * (y - bend)) - 0.9) * 0.5
