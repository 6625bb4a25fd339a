"""The exceptions of the package.

A message says what happened with the actual value, what was expected, and what to do.
"""

from __future__ import annotations

__all__ = [
    "CaptureError",
    "ImageError",
    "JobCancelled",
    "ParameterError",
    "ProtocolError",
    "StaleTraceError",
    "TargetError",
    "TokenLayoutError",
    "UnsupportedModelError",
    "VitAttentionError",
]


class VitAttentionError(Exception):
    """Base of every error that this package raises on purpose."""


class UnsupportedModelError(VitAttentionError):
    """The model is not one whose tokens and attention this package can place in the image."""


class TokenLayoutError(VitAttentionError):
    """A token, patch or layout that does not exist or does not fit the input."""


class CaptureError(VitAttentionError):
    """The forward pass did not show the attention that the model was expected to compute."""


class StaleTraceError(VitAttentionError):
    """The model is no longer the one that was traced: its weights or parts have changed."""


class TargetError(VitAttentionError):
    """The scalar to be explained is not one that the model gives."""


class ImageError(VitAttentionError):
    """The image cannot be read or does not fit the model."""


class ParameterError(VitAttentionError, ValueError):
    """An argument outside its range: a layer, head, option or keyword that does not exist."""


class ProtocolError(VitAttentionError):
    """A message from the browser that is not one of the protocol's."""


class JobCancelled(VitAttentionError):  # noqa: N818 - a decision, not a fault
    """Raised inside a running job once it was cancelled; nothing is left half done."""
