"""Hostile pictures: each becomes the right picture and model input, or one `ImageError`.

python -m tests.fuzz.pictures --times 5000 --seed 1
"""

from __future__ import annotations

import argparse
import io
import json
import random
import struct
import tempfile
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import timm
import torch
from PIL import Image

import vit_attention_widget as vaw
from tests.fuzz.count import Count
from vit_attention_widget.errors import ImageError
from vit_attention_widget.models.images import load_image

__all__ = ["attack"]

MODES = ["1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr", "HSV", "LAB", "I", "I;16", "F"]
FORMATS = ["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM", "TGA", "ICO", "PCX", "SGI", "DDS",
           "JPEG2000", "MPO", "IM", "EPS", "PDF"]  # fmt: skip

Source = tuple[object, "np.ndarray | None"]
"""What is given, and the picture that it must become where that is known: uint8 [h, w, 3]."""


class Raises(io.BytesIO):
    """A stream, array or path that fails at a chosen place, with any kind of error."""

    def __init__(self, content: bytes, place: str, error: BaseException) -> None:
        super().__init__(content)
        self.place, self.error = place, error

    def read(self, size: int | None = -1, /) -> Any:
        if self.place == "read":
            raise self.error
        if self.place == "half" and self.tell():
            raise self.error
        part = super().read(min(size or 7, 7) if self.place == "half" else size)
        return {"text": "text", "none": None, "list": [1]}.get(self.place, part)

    def seek(self, *at: int) -> int:
        if self.place == "seek":
            raise self.error
        return super().seek(*at)

    def seekable(self) -> bool:
        return self.place != "not seekable"


class Endless(io.RawIOBase):
    """A device that never ends."""

    def read(self, size: int = -1, /) -> bytes:
        return b"\0" * (size if size > 0 else 1 << 40)


class Array:
    """Something that says it is an array."""

    def __init__(self, value: object) -> None:
        self.value = value

    def __array__(self, *_: object, **__: object) -> Any:
        if isinstance(self.value, BaseException):
            raise self.value
        return self.value

    def __repr__(self) -> str:
        raise RecursionError("no words")


class WordlessError(Exception):
    def __str__(self) -> str:
        raise ValueError("no words")


def errors(chance: random.Random) -> BaseException:
    return chance.choice([OSError(5, "Input/output error"), ValueError("x" * 9999), MemoryError(),
                          RuntimeError("\ud800"), KeyError("k"), WordlessError(), AssertionError(),
                          StopIteration(), RecursionError(),
                          UnicodeDecodeError("utf8", b"\xff", 0, 1, "bad")])  # fmt: skip


def pixels(chance: random.Random, channels: int | None = 3) -> np.ndarray:
    """Random pixels of any shape, sometimes of a single row or column."""
    sizes = [1, 1, 2, 3, 17, 40, chance.randint(1, 90), chance.choice([1000, 5000])]
    height, width = chance.choice(sizes), chance.choice(sizes)
    if height * width > 200_000:
        width = 1
    shape = (height, width) if channels is None else (height, width, channels)
    return np.random.default_rng(chance.getrandbits(32)).integers(0, 256, shape, np.uint8)


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def written(chance: random.Random) -> bytes:
    """An image file in any mode and format that Pillow can write."""
    while True:
        mode, kind = chance.choice(MODES), chance.choice(FORMATS)
        try:
            image = Image.fromarray(pixels(chance)).convert("RGB")
            image = image.convert("L").convert(mode) if mode in ("I", "I;16", "F") else image
            options: dict[str, Any] = {}
            if kind in ("JPEG", "PNG", "TIFF", "WEBP") and chance.random() < 0.3:
                exif = Image.Exif()
                exif[0x0112] = chance.choice([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 65535])
                options["exif"] = exif
            return encoded(image.convert(mode), kind, **options)
        except (OSError, ValueError, KeyError, struct.error, NotImplementedError):
            continue


def png(width: int, height: int, depth: int, color: int, data: bytes, extra: bytes = b"") -> bytes:
    """A PNG that says what it likes."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + body))
        return struct.pack(">I", len(body)) + kind + body + check

    header = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + extra
            + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b""))  # fmt: skip


def lossless(chance: random.Random, folder: Path) -> Source:
    """A sound picture, through every way in."""
    array = pixels(chance)
    data = encoded(Image.fromarray(array), chance.choice(["PNG", "BMP", "TIFF", "PPM"]))
    path = folder / f"{chance.getrandbits(40)}.img"
    path.write_bytes(data)
    ways: list[Callable[[], object]] = [
        lambda: data, lambda: bytearray(data), lambda: memoryview(data), lambda: path,
        lambda: str(path), lambda: io.BytesIO(data), lambda: Raises(data, "", OSError()),
        lambda: Image.open(io.BytesIO(data)), lambda: Image.fromarray(array), lambda: array,
        lambda: Array(array), lambda: np.asfortranarray(array), lambda: array[::-1][::-1],
        lambda: Raises(data, "not seekable", OSError()),
    ]  # fmt: skip
    return chance.choice(ways)(), array


def transparent(chance: random.Random, _: Path) -> Source:
    """Alpha on white, by the formula in float64."""
    array = pixels(chance, 4)
    alpha = array[..., 3:].astype(np.float64) / 255
    expected = np.rint(array[..., :3] * alpha + 255 * (1 - alpha)).astype(np.uint8)
    return chance.choice([array, encoded(Image.fromarray(array), "PNG")]), expected


def gray(chance: random.Random, _: Path) -> Source:
    """8 and 16 bit."""
    array = pixels(chance, None)
    array.flat[0] = 255  # 16 bits are scaled by what they hold
    expected = np.repeat(array[..., None], 3, -1)
    wide = array.astype(np.uint16) * 257
    ways = [array, array[..., None], torch.from_numpy(array),
            encoded(Image.fromarray(array), "PNG"),
            encoded(Image.fromarray(wide), "PNG"),
            encoded(Image.fromarray(wide), "TIFF")]  # fmt: skip
    return chance.choice(ways), expected


def turned(chance: random.Random, _: Path) -> Source:
    """Every EXIF orientation, by NumPy."""
    array, turn = pixels(chance), chance.randint(1, 8)
    exif = Image.Exif()
    exif[0x0112] = turn
    undo: dict[int, Callable[[np.ndarray], np.ndarray]] = {
        1: lambda a: a, 2: lambda a: a[:, ::-1], 3: lambda a: a[::-1, ::-1], 4: lambda a: a[::-1],
        5: lambda a: a.swapaxes(0, 1), 6: lambda a: np.rot90(a, -1),
        7: lambda a: np.rot90(a, 2).swapaxes(0, 1), 8: lambda a: np.rot90(a),
    }  # fmt: skip
    return encoded(Image.fromarray(array), "PNG", exif=exif), undo[turn](array)


def cut(chance: random.Random, _: Path) -> Source:
    data = written(chance)
    return data[: int(len(data) * chance.random())], None


def mutated(chance: random.Random, _: Path) -> Source:
    """Some bytes changed, mostly near the header."""
    data = bytearray(written(chance))
    for _turn in range(chance.randint(1, 12)):
        end = min(len(data), 64) if chance.random() < 0.6 else len(data)
        data[chance.randrange(end)] = chance.choice([0, 255, 127, 128, chance.randrange(256)])
    return bytes(data), None


def declared(chance: random.Random, _: Path) -> Source:
    """A header that promises what is not there, or far too much."""
    sides = [0, 1, 2, 99, 65535, 10_001, 200_000, 2**31 - 1, 2**31, 2**32 - 1]
    color = chance.choice([0, 2, 3, 4, 6, 1, 7])
    return png(chance.choice(sides), chance.choice(sides), chance.choice([1, 8, 16, 3]), color,
               b"\0" * chance.randint(0, 300)), None  # fmt: skip


def thin(chance: random.Random, _: Path) -> Source:
    """Sound, small, and far longer than wide."""
    long = chance.choice([3_000, 15_000, 200_000, 1_000_000])
    array = np.full((1, long, 3), chance.randrange(256), np.uint8)
    array = array.swapaxes(0, 1) if chance.random() < 0.5 else array
    return chance.choice([array, encoded(Image.fromarray(array), "PNG")]), array


def noise(chance: random.Random, _: Path) -> Source:
    start = chance.choice([b"", b"\xff\xd8\xff", b"GIF89a", b"\x89PNG\r\n\x1a\n", b"II*\0", b"RIFF",
                           b"BM", b"P6\n9999999 99999999\n255\n", b"%!PS-Adobe-3.0 EPSF-3.0\n",
                           b"8BPS",
                           b"\0\0\1\0", b"qoif", b"SIMPLE  =", b"\x0a\x05\x01"])  # fmt: skip
    return start + chance.randbytes(chance.randint(0, 400)), None


def streams(chance: random.Random, _: Path) -> Source:
    place = chance.choice(["read", "half", "seek", "text", "none", "list"])
    return Raises(written(chance), place, errors(chance)), None


def arrays(chance: random.Random, _: Path) -> Source:
    shape = [chance.choice([0, 1, 2, 3, 4, 5, 9]) for _ in range(chance.randint(0, 5))]
    kinds = ["uint8", "float64", "float16", "int64", "bool", "complex64", "O", "U3", "M8[s]", "V4"]
    array = np.zeros(shape, chance.choice(kinds))
    huge = np.lib.stride_tricks.as_strided(np.zeros(1, np.uint8), (10**6, 10**6, 3), (0, 0, 0))
    return chance.choice([array, huge, Array(array), Array(errors(chance)), Array(None), Array("x"),
                          np.ma.masked_all((2, 2), np.uint8)]), None  # fmt: skip


def tensors(chance: random.Random, _: Path) -> Source:
    """Of every layout; float ones are model input."""
    plain = torch.zeros(3, 32, 32)
    bad = plain.clone()
    bad[0, 0, 0] = chance.choice([torch.nan, torch.inf])
    return chance.choice([
        plain.to_sparse(), plain[0].to_sparse_csr(), plain.to(torch.uint8).to_sparse(), bad,
        torch.empty(3, 32, 32, device="meta"), torch.empty(4, 4, dtype=torch.uint8, device="meta"),
        torch.quantize_per_tensor(plain, 0.1, 0, torch.quint8), torch.zeros(0, 3, 32, 32),
        torch.nested.nested_tensor([plain, plain]), plain.to(torch.complex64), plain[:2],
        plain.to(torch.bfloat16), plain.bool(), plain.int(),
        torch.zeros(3, 3, 3, dtype=torch.uint8),
        torch.zeros(1).expand(3, 10**6, 10**6), torch.zeros((), dtype=torch.uint8), torch.zeros(5),
        torch.zeros(1, dtype=torch.uint8).expand(10**6, 10**6), plain.expand(1, 1, 3, 32, 32),
    ]), None  # fmt: skip


def objects(chance: random.Random, folder: Path) -> Source:
    return chance.choice([
        None, 3, 3.5, {}, {"image": 1}, object(), lambda: 1, Endless(), "", "no-such.png", "\0",
        "a" * 5000, "https://example.org/a.png", "data:image/png;base64,AAAA", folder, str(folder),
        b"", memoryview(np.zeros((2, 3))), "/dev/zero", "/dev/null", "\ud800.png", type,
        float("nan"),
        Path("no") / "such", range(3), 1 << 80,
    ]), None  # fmt: skip


KINDS = [lossless, transparent, gray, turned, cut, mutated, declared, thin, noise, streams, arrays,
         tensors, objects]  # fmt: skip


def attack(times: int, seed: int) -> Count:
    """Give ``times`` pictures to the reader and to a model's preprocessing."""
    chance, count = random.Random(seed), Count()
    vit = vaw.describe(timm.create_model("test_vit", img_size=32, num_classes=5).eval())
    with tempfile.TemporaryDirectory() as name, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Pillow, where the attack itself writes files
        for number in range(times):
            kind = chance.choice(KINDS)
            source, expected = kind(chance, Path(name))
            count.add(f"{kind.__name__} {number}", ImageError, _try, vit, source, expected)
    return count


def _try(vit: vaw.models.VisionTransformer, source: Any, expected: np.ndarray | None) -> None:
    is_input = isinstance(source, torch.Tensor) and source.is_floating_point()
    if not is_input:
        try:
            image = load_image(source)
        except ImageError as error:
            if expected is not None:
                raise AssertionError("a sound picture was refused") from error
            raise
        assert image.mode == "RGB"
        if expected is not None:
            assert image.size == expected.shape[1::-1]
            assert np.abs(np.asarray(image).astype(int) - expected).max() <= 1
        elif isinstance(source, bytes):
            _same_as_pillow(image, source)
    if isinstance(source, io.BytesIO):
        source.seek(0)
    try:
        inputs = vit.prepare(source)
    except ImageError as error:
        if expected is not None and max(image.size) < 100_000:
            raise AssertionError("a sound picture was not prepared") from error
        raise
    assert inputs.shape[1:] == (3, 32, 32)
    assert inputs.isfinite().all()
    if not is_input and not hasattr(source, "read"):
        assert torch.equal(inputs[0], vit.transform(image))


def _same_as_pillow(image: Image.Image, data: bytes) -> None:
    """A damaged file that is read all the same is what Pillow reads."""
    with Image.open(io.BytesIO(data)) as read:
        if read.mode in ("RGB", "L") and "transparency" not in read.info:
            plain = read.convert("RGB")
            assert sorted(plain.size) == sorted(image.size)
            try:
                turned = bool(plain.getexif())
            except Exception:  # damaged EXIF turns nothing
                turned = False
            if plain.size == image.size and not turned:
                assert np.array_equal(np.asarray(plain), np.asarray(image))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    print(json.dumps(attack(asked.times, asked.seed).report(), indent=1))


if __name__ == "__main__":
    main()
