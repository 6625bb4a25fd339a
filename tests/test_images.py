"""`load_image`: odd but sound pictures come out right, everything else is refused by name."""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from PIL import Image, ImageFile

import vit_attention_widget as vaw
from vit_attention_widget.errors import ImageError, VitAttentionError
from vit_attention_widget.models.images import PIXEL_LIMIT, load_image
from vit_attention_widget.models.tensor_input import check_model_input

RED = (255, 0, 0)


def encoded(image: Image.Image, kind: str = "PNG", **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def gradient(height: int = 6, width: int = 8) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def declared_png(width: int, height: int) -> bytes:
    """A PNG of a few bytes that declares any size: what a decompression bomb looks like."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = zlib.compress(b"\0" * 64)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    )


@pytest.fixture(autouse=True)
def pillow_is_left_alone():
    """No warning gets out, and Pillow's process-wide settings stay."""
    settings = Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES
    filters = list(warnings.filters)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield
    assert settings == (Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES)
    assert warnings.filters == filters


# --- sources -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "kind", ["path", "str", "bytes", "bytearray", "memoryview", "file", "spent buffer"]
)
def test_every_kind_of_source_gives_the_same_picture(tmp_path: Path, kind: str) -> None:
    array = gradient()
    data = encoded(Image.fromarray(array))
    path = tmp_path / "picture.png"
    path.write_bytes(data)
    spent = io.BytesIO(data)
    spent.seek(0, io.SEEK_END)
    file = path.open("rb")
    sources = {
        "path": path,
        "str": str(path),
        "bytes": data,
        "bytearray": bytearray(data),
        "memoryview": memoryview(data),
        "file": file,
        "spent buffer": spent,
    }
    with file:
        image = load_image(sources[kind])
    assert image.mode == "RGB"
    np.testing.assert_array_equal(np.asarray(image), array)


@pytest.mark.parametrize(
    "make",
    [
        Image.fromarray,
        lambda array: array,
        lambda array: array[::-1][::-1],
        torch.from_numpy,
        lambda array: torch.from_numpy(array).movedim(-1, 0),
    ],
    ids=["PIL", "HWC array", "strided array", "HWC tensor", "CHW tensor"],
)
def test_pictures_in_memory(make) -> None:
    array = gradient()
    np.testing.assert_array_equal(np.asarray(load_image(make(array))), array)


def test_grey_and_alpha_arrays() -> None:
    grey = gradient()[..., 0]
    np.testing.assert_array_equal(
        np.asarray(load_image(grey)), np.repeat(grey[..., None], 3, axis=-1)
    )
    np.testing.assert_array_equal(
        np.asarray(load_image(grey[..., None])), np.asarray(load_image(grey))
    )
    clear = np.zeros((2, 3, 4), np.uint8)
    assert np.asarray(load_image(clear)).min() == 255


def test_the_source_is_not_changed_and_not_shared() -> None:
    source = Image.new("RGB", (3, 2), RED)
    load_image(source).putpixel((0, 0), (0, 0, 0))
    assert source.getpixel((0, 0)) == RED


# --- odd but sound pictures ----------------------------------------------------------------------


def test_one_pixel() -> None:
    assert load_image(encoded(Image.new("RGB", (1, 1), RED))).getpixel((0, 0)) == RED


def test_grey_16_bit_is_scaled_not_clipped() -> None:
    values = np.array([[0, 255, 256, 32768, 65535]], np.uint16)
    image = load_image(encoded(Image.fromarray(values)))
    np.testing.assert_array_equal(np.asarray(image)[0, :, 0], [0, 1, 1, 128, 255])
    tiff = load_image(encoded(Image.fromarray(values), "TIFF"))
    np.testing.assert_array_equal(np.asarray(tiff), np.asarray(image))
    as_32_bit = Image.fromarray(values.astype(np.int32))
    np.testing.assert_array_equal(np.asarray(load_image(as_32_bit)), np.asarray(image))


def test_grey_and_one_bit() -> None:
    assert load_image(encoded(Image.new("L", (2, 2), 77))).getpixel((1, 1)) == (77, 77, 77)
    assert load_image(encoded(Image.new("1", (2, 2), 1))).getpixel((1, 1)) == (255, 255, 255)


def test_cmyk() -> None:
    image = Image.new("CMYK", (8, 8), (0, 255, 255, 0))
    for data in (encoded(image, "TIFF"), encoded(image, "JPEG", quality=95)):
        red, green, blue = load_image(data).getpixel((4, 4))
        assert red > 245
        assert max(green, blue) < 10


def test_palette_with_and_without_transparency() -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.putpixel((1, 0), 1)
    assert [load_image(encoded(image)).getpixel((x, 0)) for x in (0, 1)] == [RED, (0, 0, 255)]
    seen = load_image(encoded(image, transparency=1))
    assert [seen.getpixel((x, 0)) for x in (0, 1)] == [RED, (255, 255, 255)]
    half = load_image(encoded(image, transparency=bytes([255, 128])))
    assert half.getpixel((1, 0)) == (127, 127, 255)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "RGBa"])
def test_alpha_is_composited_on_white(mode: str) -> None:
    clear = Image.new("RGBA", (2, 1), (0, 0, 0, 0))
    clear.putpixel((1, 0), (40, 40, 40, 255))
    image = load_image(clear.convert(mode))
    assert [image.getpixel((x, 0)) for x in (0, 1)] == [(255, 255, 255), (40, 40, 40)]


def test_a_transparent_colour_is_white() -> None:
    image = load_image(encoded(Image.new("RGB", (2, 2), RED), transparency=RED))
    assert image.getpixel((0, 0)) == (255, 255, 255)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(orientation: int) -> None:
    array = gradient(4, 9)
    stored = {
        1: array,
        2: array[:, ::-1],
        3: array[::-1, ::-1],
        4: array[::-1],
        5: array.transpose(1, 0, 2),
        6: np.rot90(array),
        7: array[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(array, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(Image.fromarray(np.ascontiguousarray(stored)), exif=exif)
    np.testing.assert_array_equal(np.asarray(load_image(data)), array)
    # a picture that was opened, not decoded, by the user is treated alike, and stays as it was
    opened = Image.open(io.BytesIO(data))
    upright = load_image(opened)
    np.testing.assert_array_equal(np.asarray(upright), array)
    np.testing.assert_array_equal(np.asarray(opened), stored)
    np.testing.assert_array_equal(np.asarray(load_image(upright)), array)


def test_damaged_exif_does_not_matter() -> None:
    data = encoded(
        Image.new("RGB", (4, 4), RED),
        "JPEG",
        exif=b"Exif\0\0MM\0*\xff\xff\xff\xffnonsense",
        quality=95,
    )
    assert load_image(data).size == (4, 4)


def test_first_frame_of_an_animation() -> None:
    frames = [Image.new("RGB", (3, 3), colour) for colour in (RED, (0, 0, 255))]
    data = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert load_image(data).getpixel((0, 0)) == RED


def test_long_thin_pictures_are_fine() -> None:
    assert load_image(np.zeros((1, 20_000, 3), np.uint8)).size == (20_000, 1)
    assert load_image(encoded(Image.new("L", (3, 20_000)))).size == (3, 20_000)


# --- refused -------------------------------------------------------------------------------------


def refused(source: object, *words: str) -> str:
    with pytest.raises(ImageError) as caught:
        load_image(source)
    message = str(caught.value)
    for word in words:
        assert word in message, message
    assert len(message) < 700
    assert isinstance(caught.value, VitAttentionError)
    return message


@pytest.mark.parametrize(
    "data",
    [b"", b"<html>not found</html>", b"\0" * 500, b"GIF89a", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"],
)
def test_non_images(data: bytes) -> None:
    refused(data, f"{len(data)} bytes", "Expected", "PNG or JPEG")


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP", "TIFF", "GIF", "WEBP"])
def test_truncated_files(kind: str) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    data = encoded(Image.fromarray(noise), kind)
    for share in (0.1, 0.5, 0.9):
        refused(data[: int(len(data) * share)], "Expected")


def test_a_lazily_opened_truncated_file() -> None:
    noise = np.random.default_rng(1).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    data = encoded(Image.fromarray(noise))
    refused(Image.open(io.BytesIO(data[: len(data) // 2])), "the PIL image", "truncated")


def test_paths_that_lead_nowhere(tmp_path: Path) -> None:
    refused(tmp_path / "macaw.jpg", "macaw.jpg", "no file", "spelling")
    refused("macaw.jpg", "no file 'macaw.jpg'", "working directory")
    refused(str(tmp_path), "is a directory")
    refused("a\0b", "Expected the path")
    refused("x" * 5000, "...")
    refused("", "is a directory")
    refused("/dev/zero", "no regular file")


@pytest.mark.parametrize(
    "address", ["https://host/cat.jpg", "http://host/cat.jpg", "s3://b/cat.jpg", "data:,abc"]
)
def test_nothing_is_fetched(address: str) -> None:
    refused(address, address, "Download the picture first")


@pytest.mark.parametrize(
    "size", [(20_000, 20_000), (60_000, 60_000), (10_001, 10_000), (2**31 - 1, 1)]
)
def test_bombs_are_refused_before_decoding(size: tuple[int, int]) -> None:
    refused(declared_png(*size), f"{PIXEL_LIMIT:,}", "smaller")


def test_large_pictures_in_memory_are_refused() -> None:
    refused(np.broadcast_to(np.uint8(0), (20_000, 20_000)), "20000 x 20000", f"{PIXEL_LIMIT:,}")


def test_arrays_of_another_kind() -> None:
    picture = gradient()
    message = refused(picture / 255, "float64", "[6, 8, 3]", "model input", "torch.from_numpy")
    assert "uint8" in message
    refused(torch.rand(3, 8, 8), "float32 tensor [3, 8, 8]", "model input")
    refused(torch.rand(3, 8, 8).bfloat16(), "bfloat16")
    refused(picture.astype(np.int64), "int64", "0..255")
    refused(picture.astype(np.uint16), "uint16", "257")
    refused(picture[..., 0] > 3, "bool")


def test_arrays_of_another_shape() -> None:
    picture = gradient()
    refused(picture.transpose(2, 0, 1), "[3, 6, 8]", "transpose(1, 2, 0)")
    refused(picture[None], "[1, 6, 8, 3]", "list")
    refused(picture[0, 0], "[3]")
    refused(np.zeros((5, 5, 2), np.uint8), "[5, 5, 2]")
    refused(np.uint8(3), "[]")
    refused(torch.zeros(3, 7, 1, dtype=torch.uint8), "first or last")
    for shape in [(0, 4, 3), (4, 0, 3), (0, 0)]:
        refused(np.zeros(shape, np.uint8), "empty")
    refused(Image.new("RGB", (0, 5)), "5 x 0")


def test_values_of_unknown_range() -> None:
    refused(Image.fromarray(np.full((2, 2), 70_000, np.int32)), "70000", "32-bit")
    refused(Image.fromarray(np.full((2, 2), 0.5, np.float32)), "floating point")


def test_other_objects() -> None:
    for thing in (None, 3, [1, 2], {"a": 1}, object):
        refused(thing, "Expected the path", type(thing).__name__)
    refused(io.StringIO("text"), "binary mode")
    closed = io.BytesIO(b"x")
    closed.close()
    refused(closed, "open")
    image = Image.open(io.BytesIO(encoded(Image.new("RGB", (2, 2)))))
    image.close()
    refused(image, "PIL image")


def test_nothing_runs_an_outside_program() -> None:
    refused(encoded(Image.new("RGB", (4, 4)), "EPS"), "EPS", "PNG")


# --- model input ---------------------------------------------------------------------------------


def test_model_input_gets_its_batch_axis() -> None:
    one = torch.rand(3, 4, 5)
    assert check_model_input(one).shape == (1, 3, 4, 5)
    batch = torch.rand(2, 3, 4, 5, dtype=torch.float64)
    assert check_model_input(batch) is batch
    assert check_model_input(torch.rand(1, 4, 4), channels=1).shape == (1, 1, 4, 4)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_model_input_that_is_not_finite(value: float) -> None:
    batch = torch.zeros(3, 3, 4, 4)
    batch[1, 2, 3, 0] = value
    with pytest.raises(ImageError, match=r"1 NaN or infinite values \(image 1 of 3\)"):
        check_model_input(batch)


@pytest.mark.parametrize(
    ("tensor", "words"),
    [
        (torch.zeros(3, 4, 4, dtype=torch.uint8), "uint8"),
        (torch.zeros(3, 4, 4, dtype=torch.int64), "int64"),
        (torch.zeros(4, 4), r"\[4, 4\]"),
        (torch.zeros(4, 4, 3), "movedim"),
        (torch.zeros(2, 4, 4, 3), r"movedim\(-1, 1\)"),
        (torch.zeros(1, 4, 4), r"\[1, 4, 4\]"),
        (torch.zeros(0, 3, 4, 4), "empty"),
        (torch.zeros(3, 0, 4), "empty"),
    ],
)
def test_model_input_of_another_kind(tensor: torch.Tensor, words: str) -> None:
    with pytest.raises(ImageError, match=words):
        check_model_input(tensor)


# --- preparation ---------------------------------------------------------------------------------


def test_a_thin_picture_is_bounded_in_what_it_becomes() -> None:
    vit = vaw.describe(timm.create_model("test_vit", img_size=32, num_classes=5).eval())
    picture = Image.new("RGB", (200_000, 1))
    picture.filename = "long.png"
    with pytest.raises(ImageError, match=r"'long.png' has 1 x 200000 pixels.*204,800,000.*Crop"):
        vit.prepare(picture)
    sound = Image.new("RGB", (3_000, 1), RED)
    assert torch.equal(vit.prepare(sound)[0], vit.transform(sound))


@pytest.mark.parametrize("error", [MemoryError(), ValueError("no way"), RuntimeError("\ud800")])
def test_a_preparation_that_fails(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    vit = vaw.describe(timm.create_model("test_vit", img_size=32, num_classes=5).eval())

    def transform(image: Image.Image) -> torch.Tensor:
        raise error

    monkeypatch.setattr(type(vit), "transform", lambda self, image: transform(image))
    with pytest.raises(
        ImageError, match="memory" if isinstance(error, MemoryError) else "test_vit|prepared"
    ):
        vit.prepare([Image.new("RGB", (8, 8))])


@pytest.mark.parametrize(
    ("tensor", "words"),
    [
        (torch.zeros(3, 4, 4).to_sparse(), "sparse_coo.*to_dense"),
        (torch.zeros(4, 4, dtype=torch.uint8).to_sparse_csr(), "sparse_csr"),
        (torch.empty(3, 4, 4, device="meta"), "meta"),
        (torch.quantize_per_tensor(torch.zeros(3, 4, 4), 0.1, 0, torch.quint8), "dequantize"),
        (torch.nested.nested_tensor([torch.zeros(3, 4, 4)]), "nested.*unbind"),
        (torch.zeros(1).expand(3, 10**6, 10**6), "cannot be read"),
    ],
)
def test_tensors_without_plain_values(tensor: torch.Tensor, words: str) -> None:
    model = timm.create_model("test_vit", img_size=32, num_classes=5).eval()
    with pytest.raises(ImageError, match=words):
        vaw.trace(model, tensor)
    with pytest.raises(ImageError, match=words):
        vaw.head_importance(model, tensor)


class Raising:
    """A stream or array that fails in any way."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def read(self, size: int = -1) -> bytes:
        raise self.error


class RaisingArray:
    def __array__(self, *args: object, **kwargs: object) -> np.ndarray:
        raise KeyError("gone")

    def __repr__(self) -> str:
        raise RecursionError


def test_streams_and_arrays_that_raise() -> None:
    for error in (KeyError("gone"), RecursionError("deep"), StopIteration(), OSError(5, "broken")):
        refused(Raising(error), type(error).__name__, "cannot be read")
    refused(Raising(MemoryError()), "memory")
    refused(RaisingArray(), "KeyError")


def test_a_device_without_end_is_refused() -> None:
    class Endless(io.RawIOBase):
        def read(self, size: int = -1, /) -> bytes:
            return bytes(1 << 26)

    refused(Endless(), "more than 800,000,000 bytes")
