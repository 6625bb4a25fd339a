"""Any sound picture in, an upright RGB picture out; anything else is refused by name.

The model's own preprocessing starts from what :func:`load_image` returns. Pillow's process-wide
settings (``Image.MAX_IMAGE_PIXELS``, ``ImageFile.LOAD_TRUNCATED_IMAGES``) and the warning filters
belong to the user and are left as they are.
"""

from __future__ import annotations

import io
import os
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TypeAlias, TypeGuard

import numpy as np
import PIL
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from ..errors import ImageError
from ..support.words import said, shorten
from .archived_picture import ArchivedPicture
from .picture_limits import ACCEPTED, PIXEL_LIMIT, check_size, limit_advice, out_of_memory
from .pixel_arrays import from_array, from_tensor

__all__ = ["PIXEL_LIMIT", "ImageLike", "load_image", "picture_name"]

ImageLike: TypeAlias = (
    str
    | os.PathLike[str]
    | bytes
    | bytearray
    | memoryview
    | IO[bytes]
    | Image.Image
    | NDArray[np.uint8]
    | torch.Tensor
    | ArchivedPicture
)
"""One image: a path, an image file's bytes, an open binary file, a PIL image, or pixels; or one of
those of :class:`~vit_attention_widget.TarShards`.

Pixels are uint8, [height, width] or [height, width, 1 | 3 | 4], in a tensor also [channel, height,
width]. Where a model is at hand, a float tensor [3, height, width] is taken as its input.
"""

_RUNS_A_PROGRAM = frozenset(
    {"EPS", "WMF"}
)  # Pillow hands these vector formats to an outside renderer
_FILE_LIMIT = 8 * PIXEL_LIMIT  # 16 bits for each of four channels, and never a device without end
_warning_lock = threading.Lock()


def load_image(source: object) -> Image.Image:
    """Read one picture as the eye sees it: upright, 8 bit, RGB.

    Parameters
    ----------
    source
        A path, the bytes of an image file, a binary file object, a PIL image, a uint8 array
        ``[height, width]`` or ``[height, width, 1 | 3 | 4]``, or a uint8 tensor in that or in
        torchvision's order ``[channel, height, width]``.

    Returns
    -------
    PIL.Image.Image
        Mode ``RGB``, a new object. An EXIF orientation is applied, 16-bit gray is scaled to 8 bit
        by the bits that its values take (12 where the largest is 4,000), palettes and CMYK are
        converted, transparency is composited on white, and of an animation
        the first frame is taken. Embedded color profiles are ignored, as timm and torchvision do.

    Raises
    ------
    ImageError
        For anything that is not a whole picture of 1 to ``PIXEL_LIMIT`` pixels, also if reading it
        raises something else. The size is read from the header, before anything is decoded. Nothing
        is ever fetched from an address.
    """
    try:
        return _load(source)
    except ImageError:
        raise
    except MemoryError as error:
        raise out_of_memory(f"The {type(source).__name__}") from error
    except Exception as error:  # an array, a file or a path of the user's own may raise anything
        raise ImageError(
            f"The {type(source).__name__} cannot be read as a picture: {said(error)}. {ACCEPTED}"
        ) from error


def picture_name(source: object) -> str:
    """What to call a picture in a message: by its path, if it has one."""
    path = getattr(source, "filename", "") if isinstance(source, Image.Image) else source
    if isinstance(path, str | os.PathLike) and os.fspath(path):
        return repr(shorten(os.fsdecode(path)))
    return "The picture"


def _load(source: object) -> Image.Image:
    if isinstance(source, Image.Image):
        return _to_rgb(source, f"the PIL image {picture_name(source)}".removesuffix(" The picture"))
    if isinstance(source, (bytes, bytearray, memoryview)):
        return _decode(io.BytesIO(source), f"{_length(source)} bytes")
    if isinstance(source, (str, os.PathLike)):
        return _load_path(os.fspath(source))
    if isinstance(source, torch.Tensor):
        return _to_rgb(from_tensor(source), "the tensor")
    if isinstance(source, ArchivedPicture):
        return _decode(io.BytesIO(source.content()), str(source))
    if _is_file(source):
        return _load_stream(source)
    if hasattr(source, "__array__"):
        return _to_rgb(from_array(np.asarray(source), "array"), "the array")
    raise ImageError(
        f"Got {shorten(repr(source))} ({type(source).__name__}) as a picture. {ACCEPTED} "
        "Several pictures go in a list, where a batch is accepted."
    )


def _load_path(name: str | bytes) -> Image.Image:
    text = os.fsdecode(name)
    shown = repr(shorten(text))
    if "://" in text or text.startswith("data:"):
        raise ImageError(
            f"{shown} is an address, and nothing is fetched from one. {ACCEPTED} "
            "Download the picture first."
        )
    path = Path(os.path.expanduser(text))
    try:
        if path.is_file():
            with path.open("rb") as file:
                return _decode(file, shown)
        exists = path.exists()
    except ImageError:
        raise
    except (OSError, ValueError) as error:  # no permission, a NUL or 5,000 letters in the name
        reason = getattr(error, "strerror", None) or str(error)
        raise ImageError(f"{shown} cannot be read: {shorten(reason)}. {ACCEPTED}") from error
    if exists:
        kind = "a directory" if path.is_dir() else "no regular file"
        raise ImageError(f"{shown} is {kind}. {ACCEPTED} Name one image file.")
    raise ImageError(
        f"There is no file {shown} (working directory {os.getcwd()!r}). {ACCEPTED} "
        "Check the path and its spelling."
    )


def _is_file(source: object) -> TypeGuard[IO[bytes]]:
    return hasattr(source, "read")


def _load_stream(stream: IO[bytes]) -> Image.Image:
    name = f"the file object {shorten(str(getattr(stream, 'name', type(stream).__name__)))!r}"
    try:
        if getattr(stream, "seekable", bool)():
            stream.seek(0)  # a buffer that was just written stands at its end
        content = _read(stream)
    except MemoryError as error:
        raise out_of_memory(name) from error
    except Exception as error:
        raise ImageError(
            f"{name} cannot be read: {said(error)}. {ACCEPTED} Pass it while it is open."
        ) from error
    if not isinstance(content, (bytes, bytearray, memoryview)):
        raise ImageError(
            f"{name} gives {type(content).__name__}, not bytes. {ACCEPTED} "
            "Open it in binary mode: open(path, 'rb')."
        )
    if len(content) > _FILE_LIMIT:
        raise ImageError(
            f"{name} holds more than {_FILE_LIMIT:,} bytes. Expected one image file. "
            f"{limit_advice()}"
        )
    return _decode(io.BytesIO(content), f"{name} ({len(content)} bytes)")


def _read(stream: IO[bytes]) -> object:
    """The whole stream, or a little more than is allowed; anything else that it gives for bytes."""
    content = bytearray()
    while len(content) <= _FILE_LIMIT:
        part = stream.read(1 << 20)
        if not isinstance(part, (bytes, bytearray, memoryview)):
            return part
        if not part:
            break
        content += part
    return content


def _decode(file: IO[bytes], name: str) -> Image.Image:
    """Decode an image file; every decoder failure becomes an `ImageError`."""
    start = file.read(16)
    file.seek(0)
    try:
        with _quiet_pillow():
            image = Image.open(file)
    except UnidentifiedImageError as error:
        begins = f"begins with {start!r}" if start else "is empty"
        raise ImageError(
            f"{name} is not a picture in a format that Pillow {PIL.__version__} reads: it "
            f"{begins}. {ACCEPTED} Save it as PNG or JPEG."
        ) from error
    except Image.DecompressionBombError as error:
        raise ImageError(f"{name} declares too many pixels: {error}. {limit_advice()}") from error
    except Exception as error:  # decoders raise whatever a broken header makes them raise
        raise _broken(name, error) from error
    with image:
        if image.format in _RUNS_A_PROGRAM:
            raise ImageError(
                f"{name} is a vector drawing ({image.format}), which needs an outside program. "
                f"{ACCEPTED} Export it as PNG."
            )
        return _to_rgb(image, name)


def _to_rgb(image: Image.Image, name: str) -> Image.Image:
    width, height = image.size
    check_size(height, width, name)
    try:
        with _quiet_pillow():
            image.load()
            image = _upright(image)
            if image.mode.startswith("I"):
                return _from_16_bit(image, name)
            if image.has_transparency_data:
                return _on_white(image)
            if image.mode == "F":
                raise ImageError(
                    f"{name} holds floating point values, whose range is not known. {ACCEPTED} "
                    "Scale it to 0..255 and save it as 8 bit."
                )
            return image.convert("RGB")
    except ImageError:
        raise
    except Exception as error:  # truncated or broken data, or a mode that has no way to RGB
        raise _broken(name, error) from error


def _upright(image: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # a broken EXIF block says nothing about the pixels
        return image


def _from_16_bit(image: Image.Image, name: str) -> Image.Image:
    """Scale to 0..255 by the bits that the values take; Pillow would clip all above 255 to white.

    Detectors and microscopes write 10, 12 or 14 bits into files of 16.
    """
    values = np.asarray(image).astype(np.int32)
    low, high = int(values.min()), int(values.max())
    if low < 0 or high > 65535:
        raise ImageError(
            f"{name} holds 32-bit integers from {low} to {high}, whose range is not known. "
            "Expected 8 or 16 bit. Scale it to 0..255 and save it as 8 bit."
        )
    largest = next(2**bits - 1 for bits in (8, 10, 12, 14, 16) if high < 2**bits)
    scaled = (values * 255 + largest // 2) // largest
    return Image.fromarray(scaled.astype(np.uint8)).convert("RGB")


def _on_white(image: Image.Image) -> Image.Image:
    picture = image.convert("RGBA")
    white = Image.new("RGBA", picture.size, (255, 255, 255, 255))
    return Image.alpha_composite(white, picture).convert("RGB")


def _broken(name: str, error: Exception) -> ImageError:
    if isinstance(error, MemoryError):
        return out_of_memory(name)
    return ImageError(
        f"{name} cannot be decoded: {said(error)}. Expected a "
        "whole image file; this one is truncated, damaged or of a kind that has no RGB form. "
        "Save it anew as PNG or JPEG."
    )


@contextmanager
def _quiet_pillow() -> Iterator[None]:
    """Keep Pillow's warnings back: each becomes an `ImageError` or does not matter here."""
    with _warning_lock, warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"PIL\.")
        yield


def _length(content: bytes | bytearray | memoryview) -> int:
    return content.nbytes if isinstance(content, memoryview) else len(content)
