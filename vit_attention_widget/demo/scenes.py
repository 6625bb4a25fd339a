"""Pictures of objects in cluttered surroundings, drawn by formula, with their true masks.

Every scene follows from its seed alone. Color, texture, place, size, rotation and background are
drawn independently of the kind, so only the outline tells what the object is.
"""

from __future__ import annotations

import colorsys
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from numpy.typing import NDArray
from torch import Tensor

from ..errors import ParameterError
from .shapes import KINDS, bar, blob, signed_distance

__all__ = ["IMAGE_SIZE", "Scene", "draw", "scene", "two_objects"]

IMAGE_SIZE = 80
"""Height and width of a scene in pixels."""

_TEXTURES = 5
_CLUTTER = 6
_TURN = 0.45  # radians, either way


@dataclass(frozen=True)
class Scene:
    """A picture and what is in it.

    Attributes
    ----------
    image : ndarray
        [height, width, 3] uint8.
    mask : ndarray
        [height, width] bool, True on the object that gives the label.
    label : int
        Index into :data:`KINDS`.
    name : str
        The kind's name.
    """

    image: NDArray[np.uint8]
    mask: NDArray[np.bool_]
    label: int
    name: str


@dataclass(frozen=True)
class _Thing:
    """One object or piece of clutter: shape index, place and size (in image widths), look."""

    shape: int  # 0..9 a kind, 10 a bar, 11 a blob
    x: float
    y: float
    size: float
    angle: float
    colors: NDArray[np.float64]  # [2, 3]
    texture: int
    frequency: float
    slant: float


def scene(seed: int, kind: int | str | None = None, size: int = IMAGE_SIZE) -> Scene:
    """One scene.

    Parameters
    ----------
    seed : int
        Everything in the scene follows from it.
    kind : int or str, optional
        The kind of the object; drawn from the seed by default.
    size : int
        Height and width in pixels.

    Examples
    --------
    >>> import vit_attention_widget as vaw
    >>> vaw.demo.scene(seed=1, kind="star").name
    'star'
    """
    images, masks, labels = draw([seed], size, None if kind is None else [_kind(kind)])
    return _scene(images[0], masks[0], int(labels[0]))


def two_objects(seed: int, kinds: tuple[int | str, int | str], size: int = IMAGE_SIZE) -> Scene:
    """A scene with an object of each of two kinds, side by side; label and mask are the first's."""
    first, second = (_kind(kind) for kind in kinds)
    rng = np.random.default_rng(seed)
    sides = rng.permutation([0.27, 0.73])
    objects = [
        _thing(
            rng, shape, x=float(x), y=float(rng.uniform(0.35, 0.65)), size=rng.uniform(0.21, 0.25)
        )
        for shape, x in zip((first, second), sides, strict=True)
    ]
    field = rng.random((2, 5, 5))
    backdrop = _palette(rng)
    things = [_thing(rng, 10 + int(rng.integers(2)), 0, 0, 0) for _ in range(_CLUTTER)]
    clutter = [_scattered(rng, thing) for thing in things[:3]]
    images, masks = _paint([[*clutter, objects[1], objects[0]]], field[None], backdrop[None], size)
    return _scene(images[0], masks[0], first)


def draw(
    seeds: Sequence[int],
    size: int = IMAGE_SIZE,
    kinds: Sequence[int] | None = None,
    *,
    spread: float = 1.0,
) -> tuple[Tensor, Tensor, Tensor]:
    """Many scenes at once.

    Parameters
    ----------
    seeds : sequence of int
    size : int
        Height and width in pixels.
    kinds : sequence of int, optional
        The kind of each object; drawn from its seed by default.
    spread : float
        Below 1, objects lie nearer to the middle and are larger: training begins so.

    Returns
    -------
    images : Tensor
        [n, 3, size, size] float32 in [0, 1].
    masks : Tensor
        [n, size, size] float32, the share of each pixel that the object covers.
    labels : Tensor
        [n] int64.
    """
    plans, fields, backdrops, labels = [], [], [], []
    for i, seed in enumerate(seeds):
        rng = np.random.default_rng(seed)
        drawn = int(rng.integers(len(KINDS)))
        label = drawn if kinds is None else kinds[i]
        radius = float(rng.uniform(0.23, 0.38))
        place = 0.5 + spread * (rng.uniform(radius, 1 - radius, 2) - 0.5)
        radius += (1 - spread) * (0.36 - radius) * 0.7
        main = _thing(rng, label, float(place[0]), float(place[1]), radius)
        fields.append(rng.random((2, 5, 5)))
        backdrops.append(_palette(rng))
        clutter = [
            _scattered(rng, _thing(rng, 10 + int(rng.integers(2)), 0, 0, 0))
            for _ in range(int(rng.integers(2, _CLUTTER + 1)))
        ]
        plans.append([*clutter, main])
        labels.append(label)
    images, masks = _paint(plans, np.stack(fields), np.stack(backdrops), size)
    return images, masks, torch.tensor(labels)


def _kind(kind: int | str) -> int:
    if isinstance(kind, str) and kind in KINDS:
        return KINDS.index(kind)
    if isinstance(kind, int) and 0 <= kind < len(KINDS):
        return kind
    raise ParameterError(
        f"There is no kind {kind!r}: choose one of {', '.join(KINDS)} or 0 to {len(KINDS) - 1}."
    )


def _scene(image: Tensor, mask: Tensor, label: int) -> Scene:
    pixels = (image.permute(1, 2, 0) * 255).round().to(torch.uint8).numpy()
    return Scene(np.ascontiguousarray(pixels), (mask > 0.5).numpy(), label, KINDS[label])


def _palette(rng: np.random.Generator) -> NDArray[np.float64]:
    """Two colors that can be told apart, [2, 3]."""
    hue = rng.random()
    other = (hue + rng.uniform(0.08, 0.5)) % 1
    light, dark = rng.uniform(0.62, 0.95), rng.uniform(0.22, 0.55)
    pair = [
        colorsys.hsv_to_rgb(hue, rng.uniform(0.25, 0.8), light),
        colorsys.hsv_to_rgb(other, rng.uniform(0.25, 0.8), dark),
    ]
    return np.array(pair)[rng.permutation(2)]


def _thing(rng: np.random.Generator, shape: int, x: float, y: float, size: float) -> _Thing:
    return _Thing(
        shape,
        x,
        y,
        float(size),
        float(rng.uniform(-_TURN, _TURN)),
        _palette(rng),
        int(rng.integers(_TEXTURES)) * int(rng.random() < 0.6),
        float(rng.uniform(2.5, 5)),
        float(rng.uniform(0, math.pi)),
    )


def _scattered(rng: np.random.Generator, thing: _Thing) -> _Thing:
    x, y = rng.uniform(0, 1, 2)
    return _Thing(
        **{
            **vars(thing),
            "x": float(x),
            "y": float(y),
            "size": float(rng.uniform(0.07, 0.18)),
            "angle": float(rng.uniform(-math.pi, math.pi)),
        }
    )


def _paint(
    plans: list[list[_Thing]],
    fields: NDArray[np.float64],
    backdrops: NDArray[np.float64],
    size: int,
) -> tuple[Tensor, Tensor]:
    """Backgrounds, then each plan's things from back to front; the last one gives the mask."""
    axis = (torch.arange(size, dtype=torch.float32) + 0.5) / size
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    field = F.interpolate(
        torch.tensor(fields, dtype=torch.float32), size=(size, size), mode="bicubic"
    ).clamp(0, 1)
    colors = torch.tensor(backdrops, dtype=torch.float32)
    share = field[:, :1]
    images = colors[:, 0, :, None, None] * share + colors[:, 1, :, None, None] * (1 - share)
    images = images * (0.75 + 0.35 * field[:, 1:])
    masks = torch.zeros(len(plans), size, size)
    for depth in range(max(map(len, plans)), 0, -1):
        deep = [i for i, plan in enumerate(plans) if len(plan) >= depth]
        things = [plans[i][len(plans[i]) - depth] for i in deep]
        cover, color = _draw_things(things, x, y)
        index = torch.tensor(deep)
        under = images[index]
        images[index] = under + cover[:, None] * (color - under)
        masks[index] = cover
    return images.clamp(0, 1), masks


def _draw_things(things: list[_Thing], x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Coverage [n, H, W] in [0, 1] and color [n, 3, H, W] of one thing per image."""

    def column(value: Callable[[_Thing], float]) -> Tensor:
        return torch.tensor([value(t) for t in things])[:, None, None]

    size, angle = column(lambda t: t.size), column(lambda t: t.angle)
    dx, dy = x - column(lambda t: t.x), y - column(lambda t: t.y)
    u = (dx * angle.cos() + dy * angle.sin()) / size
    v = (dy * angle.cos() - dx * angle.sin()) / size
    distance = torch.empty_like(u)
    shapes = torch.tensor([t.shape for t in things])
    for shape in shapes.unique().tolist():
        which = shapes == shape
        of = (u[which], v[which])
        if shape < len(KINDS):
            distance[which] = signed_distance(shape, *of)
        else:
            distance[which] = bar(*of) if shape == len(KINDS) else blob(*of)
    cover = (0.5 - distance * size * x.shape[-1]).clamp(0, 1)  # one pixel of soft edge
    pattern = _pattern(things, u, v)
    pair = torch.tensor(np.stack([t.colors for t in things]), dtype=torch.float32)
    first, second = pair[:, 0, :, None, None], pair[:, 1, :, None, None]
    # The second color is toned towards the first: a texture must not look like an outline.
    return cover, first + pattern[:, None] * 0.55 * (second - first)


def _pattern(things: list[_Thing], u: Tensor, v: Tensor) -> Tensor:
    """Share of the second color, [n, H, W]: plain, stripes, checks, dots or a gradient."""

    def column(value: Callable[[_Thing], float]) -> Tensor:
        return torch.tensor([value(t) for t in things])[:, None, None]

    slant, rate = column(lambda t: t.slant), math.pi * column(lambda t: t.frequency)
    a = rate * (u * slant.cos() + v * slant.sin())
    b = rate * (v * slant.cos() - u * slant.sin())
    pattern = torch.zeros_like(u)
    textures = torch.tensor([t.texture for t in things])
    for texture in range(1, _TEXTURES):
        which = textures == texture
        p, q = a[which], b[which]
        if texture == 1:
            drawn = (4 * p.sin() + 0.5).clamp(0, 1)
        elif texture == 2:
            drawn = (6 * p.sin() * q.sin() + 0.5).clamp(0, 1)
        elif texture == 3:
            drawn = (4 * (p.cos() + q.cos() - 0.9)).clamp(0, 1)
        else:
            drawn = (0.5 + 0.5 * p / rate[which]).clamp(0, 1)
        pattern[which] = drawn
    return pattern
