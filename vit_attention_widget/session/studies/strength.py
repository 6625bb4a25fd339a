"""What a session finds out about how far heads look."""

from __future__ import annotations

import numpy as np

from ...errors import ParameterError
from ...protocol.tensors import encode
from ...strength.run import AttentionStrength, attention_strength
from ...support.progress import Progress
from ...tracing.run import trace
from ...tracing.trace import Trace
from .heads import HeadStudy

__all__ = ["StrengthStudy"]

_SHARES = ("class_to_class", "class_to_patches", "patches_to_class")


class StrengthStudy(HeadStudy):
    """Strength of attention by distance, which is measured when it is asked for."""

    _strength: AttentionStrength | None = None

    def _reset_results(self) -> None:
        super()._reset_results()
        self._strength, self._strength_data = None, b""

    @property
    def strength(self) -> AttentionStrength | None:
        """Strength of every head on the image as it is shown; None until it was measured."""
        return self._strength

    def measure_strength(self) -> None:
        """Measure how far the heads look; see ``strength``."""

        def work(_: Progress) -> tuple[Trace, AttentionStrength]:
            shown = self._shown()
            return shown, attention_strength(shown)

        def show(found: tuple[Trace, AttentionStrength]) -> None:
            shown, strength = found
            if self.trace is shown:
                self._strength, self._strength_data = strength, _encoded(strength)

        self._do(self._quick, "strength", "", work, show)

    def measure_strength_of_set(self) -> None:
        """Measure entropy [image, layer, head] of the whole image set; as ``_strength_set``.

        Raises
        ------
        ParameterError
            If the session was given no ``image_set``.
        """
        images = self._image_set
        if images is None:
            raise ParameterError("There is no set of images: give the session image_set=[...].")

        def work(progress: Progress) -> bytes:
            entropy = []
            for i, (image, _) in enumerate(images):
                progress(i / len(images), f"how far heads look, image {i} of {len(images)}")
                found = attention_strength(trace(self._vit, image, gradients=False))
                entropy.append(found.entropy[0].float().cpu().numpy())
            return encode({"entropy": np.stack(entropy)})

        def show(found: bytes) -> None:
            if self._image_set is images:
                self._strength_set = found

        self._do(self._longest, "strength set", "how far heads look", work, show)


def _encoded(strength: AttentionStrength) -> bytes:
    shares = {name: getattr(strength, name) for name in _SHARES}
    tensors = {
        "profile": strength.profile,
        "entropy": strength.entropy,
        "distance": strength.distance,
        **{name: values for name, values in shares.items() if values is not None},
    }
    return encode({name: t[0].float().cpu().numpy() for name, t in tensors.items()})
