"""Pooled attention and what a head does, patch by patch."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def overlap(patch: int, patches: int, cell: int, cells: int) -> float:
    """Share of a patch, one of so many on a side, that lies in a cell, one of so many."""
    low = max(patch / patches, cell / cells)
    high = min((patch + 1) / patches, (cell + 1) / cells)
    return max(0.0, high - low) * patches


def shares(rows: int, cols: int, grid: int) -> Tensor:
    """Share of each patch in each cell, [patch, cell]."""
    return torch.tensor(
        [
            [
                overlap(i // cols, rows, c // grid, grid) * overlap(i % cols, cols, c % grid, grid)
                for c in range(grid * grid)
            ]
            for i in range(rows * cols)
        ],
        dtype=torch.float64,
    )


def patch_vector(attention: Tensor, prefix: int, rows: int, cols: int) -> Tensor:
    """Root of the attention [token, token] from cell to cell: queries by mean, keys by sum."""
    share, patches = shares(rows, cols, 7).tolist(), range(rows * cols)
    between = attention[prefix:, prefix:].tolist()
    into = [[sum(between[i][j] * share[j][k] for j in patches) for k in range(49)] for i in patches]
    pooled = torch.zeros(49, 49, dtype=torch.float64)
    for q in range(49):
        weights = [share[i][q] for i in patches]
        for k in range(49):
            pooled[q, k] = sum(weights[i] * into[i][k] for i in patches) / sum(weights)
    return pooled.sqrt().flatten()


def class_vector(attention: Tensor, prefix: int, rows: int, cols: int, place: int) -> Tensor:
    """Roots of the class token's row, summed in cells, its column, averaged, and its corner."""
    share = shares(rows, cols, 14)
    row = torch.stack([(attention[place, prefix:] * share[:, c]).sum() for c in range(196)])
    column = torch.stack(
        [(attention[prefix:, place] * share[:, c]).sum() / share[:, c].sum() for c in range(196)]
    )
    return torch.cat([row, column / 196, attention[place, place, None]]).sqrt()


def patch_scores(attention: Tensor, prefix: tuple[str, ...], rows: int, cols: int) -> list[float]:
    """Mean coefficient with each head that does one thing only, in the order of the package."""
    first, count = len(prefix), rows * cols
    others = [t for t, name in enumerate(prefix) if name != "class"]

    def template(i: int) -> list[dict[int, float]]:
        row, col = divmod(i, cols)
        near = [
            first + r * cols + c
            for r in range(max(0, row - 1), min(rows, row + 2))
            for c in range(max(0, col - 1), min(cols, col + 2))
            if (r, c) != (row, col)
        ]
        sets = [
            [first + i],
            near,
            [first + row * cols + c for c in range(cols)],
            [first + r * cols + col for r in range(rows)],
            list(range(first, first + count)),
            [],
            [prefix.index("class")] if "class" in prefix else [],
            others,
        ]
        return [{key: 1 / len(keys) for key in keys} for keys in sets]

    totals = [0.0] * 8
    for i in range(count):
        for k, even in enumerate(template(i)):
            totals[k] += sum(math.sqrt(attention[first + i, j] * w) for j, w in even.items())
    scores = [total / count for total in totals]
    mean = attention[first:, first:].sqrt().mean(0)
    pairs = sum(
        float((attention[first + i, first:] * attention[first + j, first:]).sqrt().sum())
        for i in range(count)
        for j in range(count)
    )
    even = float(mean.sum()) / math.sqrt(count)
    alike = pairs / count**2  # the mean coefficient of all pairs of rows
    scores[5] = math.sqrt(alike) * math.sqrt(max(0.0, alike - even**2))
    return scores


def class_scores(attention: Tensor, prefix: int, place: int) -> list[float]:
    """What the class token looks at, and how much it is looked at."""
    row = attention[place, prefix:]
    even = float(row.sqrt().sum()) / math.sqrt(len(row))
    few = math.sqrt(max(0.0, float(row.sum()) - even**2))
    return [
        math.sqrt(attention[place, place]),
        few,
        even,
        float(attention[prefix:, place].sqrt().mean()),
    ]
