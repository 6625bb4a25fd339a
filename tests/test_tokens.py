"""TokenLayout: tokens by name, the patch grid, patches and pixels."""

from __future__ import annotations

import pytest
import torch

from vit_attention_widget import TokenLayout
from vit_attention_widget.errors import TokenLayoutError

LAYOUT = TokenLayout(("class", "register 0"), rows=3, cols=5, patch_height=8, patch_width=4)


def test_counts() -> None:
    assert (LAYOUT.num_prefix, LAYOUT.num_patches, LAYOUT.num_tokens) == (2, 15, 17)
    assert (LAYOUT.image_height, LAYOUT.image_width) == (24, 20)


def test_tokens_and_positions_are_inverse() -> None:
    seen = [LAYOUT.token(row, col) for row in range(3) for col in range(5)]
    assert seen == list(range(2, 17))
    for row in range(3):
        for col in range(5):
            assert LAYOUT.position(LAYOUT.token(row, col)) == (row, col)
    assert LAYOUT.position(0) is LAYOUT.position(1) is None


def test_names() -> None:
    assert [LAYOUT.name(t) for t in (0, 1, 2, 16)] == [
        "class",
        "register 0",
        "patch (0, 0)",
        "patch (2, 4)",
    ]


def test_patches_and_pixels_are_inverse() -> None:
    assert LAYOUT.box(0, 0) == (0, 0, 8, 4)
    assert LAYOUT.box(2, 4) == (16, 16, 24, 20)
    for row in range(3):
        for col in range(5):
            top, left, bottom, right = LAYOUT.box(row, col)
            for y, x in ((top, left), (bottom - 1, right - 1), (bottom - 0.01, left + 0.5)):
                assert LAYOUT.patch_at(y, x) == (row, col)


def test_to_grid_drops_the_prefix() -> None:
    values = torch.arange(2 * 17).reshape(2, 17)
    grid = LAYOUT.to_grid(values)
    assert grid.shape == (2, 3, 5)
    for row in range(3):
        for col in range(5):
            assert (grid[:, row, col] == values[:, LAYOUT.token(row, col)]).all()


def test_without_prefix() -> None:
    layout = TokenLayout((), 2, 2, 16, 16)
    assert layout.token(0, 0) == 0
    assert layout.position(0) == (0, 0)
    assert layout.to_grid(torch.zeros(4)).shape == (2, 2)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: LAYOUT.token(3, 0), r"\(3, 0\).*0 to 2.*0 to 4"),
        (lambda: LAYOUT.token(0, -1), r"\(0, -1\)"),
        (lambda: LAYOUT.box(0, 5), r"\(0, 5\)"),
        (lambda: LAYOUT.position(17), "17.*0 to 16"),
        (lambda: LAYOUT.position(-1), "-1"),
        (lambda: LAYOUT.name(99), "99"),
        (lambda: LAYOUT.patch_at(24, 0), r"\(3, 0\)"),
        (lambda: LAYOUT.patch_at(-1, 0), r"\(-1, 0\)"),
        (lambda: LAYOUT.to_grid(torch.zeros(2, 15)), r"17 tokens.*\(2, 15\)"),
        (lambda: TokenLayout((), 0, 3, 8, 8), "0 x 3"),
        (lambda: TokenLayout((), 3, 3, 8, 0), "8 x 0"),
    ],
)
def test_what_does_not_exist(call, words: str) -> None:
    with pytest.raises(TokenLayoutError, match=words):
        call()
