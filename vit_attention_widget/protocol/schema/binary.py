"""How arrays and pictures travel: as bytes beside the JSON."""

from __future__ import annotations

from typing import Generic, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

__all__ = ["Encoded", "Float", "Float32", "Html", "Jpeg", "Uint8", "Uint16", "Uint32"]

Tensors = TypeVar("Tensors")
Metadata = TypeVar("Metadata")

Uint8: TypeAlias = NDArray[np.uint8]
Uint16: TypeAlias = NDArray[np.uint16]
Uint32: TypeAlias = NDArray[np.uint32]
Float32: TypeAlias = NDArray[np.float32]
Float: TypeAlias = NDArray[np.float32] | NDArray[np.float16]
"""float32, or float16 where there is much of it; the browser reads both as float32."""

Jpeg: TypeAlias = bytes
"""A picture as JPEG."""


Html: TypeAlias = bytes
"""A page as HTML in UTF-8."""


class Encoded(Generic[Tensors, Metadata]):
    """Safetensors bytes of named tensors, with text beside them; empty where there is nothing."""
