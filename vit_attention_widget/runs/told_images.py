"""What tells images apart, and where each was read from."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..data.reader import Labeled
from ..errors import ImageError
from ..models.archived_picture import ArchivedPicture
from ..models.images import load_image

__all__ = ["digest_of_images", "file_of", "is_digest_of"]


def digest_of_images(images: Sequence[object] | Tensor) -> str:
    """What tells images apart: their values, or what their files hold; and their labels."""
    together = hashlib.blake2b(digest_size=16)
    for image in images:
        for some in _content(image):
            together.update(some)
        together.update(b";")
    return together.hexdigest()


def is_digest_of(digest: str, image: object, labels: Iterable[object] = ()) -> bool:
    """Whether it is the digest of an image, without a label or with one of these."""
    content = hashlib.blake2b(digest_size=16)
    for some in _content(image):
        content.update(some)
    for end in (b"", *(repr(label).encode() for label in labels)):
        together = content.copy()
        together.update(end + b";")
        if together.hexdigest() == digest:
            return True
    return False


def file_of(image: object) -> str:
    """The file that an image was read from, "" where it is not known to have one.

    Of one that lies in a file with others: :meth:`.ArchivedPicture.to_text`.
    """
    image = image.image if isinstance(image, Labeled) else image
    if isinstance(image, ArchivedPicture):
        return image.to_text()
    path = getattr(image, "filename", image)
    if not isinstance(path, str | os.PathLike) or not os.fspath(path):
        return ""
    return os.path.abspath(os.path.expanduser(os.fsdecode(path)))


def _content(image: object) -> Iterator[bytes | bytearray | memoryview]:
    if isinstance(image, Labeled):
        yield from _content(image.image)
        label: Any = image.label
        yield repr(label.tolist() if hasattr(label, "tolist") else label).encode()
        return
    if isinstance(image, Tensor):
        array = image.detach().cpu()
        image = (array.float() if array.dtype is torch.bfloat16 else array).numpy()
    if isinstance(image, Image.Image):
        yield f"{image.mode} {image.size}".encode()
        yield image.tobytes()
        yield bytes(image.getpalette() or ())
    elif isinstance(image, np.ndarray):
        yield f"{image.dtype} {image.shape}".encode()
        yield np.ascontiguousarray(image).tobytes()
    elif isinstance(image, bytes | bytearray | memoryview):
        yield image
    elif isinstance(image, ArchivedPicture):
        yield from _content_or_name(image)
    elif isinstance(image, str | os.PathLike):
        path = Path(os.path.expanduser(os.fsdecode(image)))
        yield path.read_bytes() if path.is_file() else os.fsencode(image)
    else:  # a file object, or what has an array
        try:
            yield from _content(load_image(image))
        except ImageError:
            yield type(image).__name__.encode()


def _content_or_name(image: ArchivedPicture) -> Iterator[bytes]:
    try:
        yield image.content()
    except ImageError:
        yield str(image).encode()
