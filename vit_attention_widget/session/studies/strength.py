"""How far heads attend."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ...protocol.schema.tensors import StrengthOfSet, StrengthTensors
from ...protocol.tensors import encode
from ...strength import AttentionStrength, attention_strength
from ...support.progress import Progress
from ...tracing.run import trace
from ...tracing.trace import Trace
from ..stepwise import Stepwise
from .study import Study

__all__ = ["StrengthStudy"]


class StrengthStudy(Study):
    """Attention strength by distance, when asked for: of the shown image, or of the image set."""

    def reset(self) -> None:
        self.strength: AttentionStrength | None = None
        self._traits._strength_data = b""

    def forget_set(self) -> None:
        """Another model sees the set otherwise."""
        self._traits._strength_set = b""

    def measure(self) -> None:
        """Measure how far the heads attend on the image as it is shown."""
        context = self._context

        def work(_: Progress) -> tuple[Trace, AttentionStrength]:
            shown = context.shown()
            return shown, attention_strength(shown)

        def show(result: tuple[Trace, AttentionStrength]) -> None:
            shown, strength = result
            if context.trace is shown:
                self.strength, self._traits._strength_data = strength, _encoded(strength)

        context.do(context.lanes.quick, "strength", "", work, show)

    def measure_set(self) -> None:
        """Measure the entropy of every head on every image of the set, [image, layer, head].

        Raises
        ------
        ParameterError
            If there is no image set.
        """
        context, images = self._context, self._context.images()

        def steps(
            progress: Progress, start: list[NDArray[np.float32]] | None
        ) -> Iterator[list[NDArray[np.float32]]]:
            entropy = start or []
            for i in range(len(entropy), len(images)):
                progress(i / len(images), f"how far heads attend, image {i} of {len(images)}")
                traced = trace(context.vit, images.inputs[i], gradients=False)
                entropy = [*entropy, attention_strength(traced).entropy[0].float().cpu().numpy()]
                yield entropy

        def show(_: None) -> None:
            if context.image_set is images and work.latest is not None:
                tensors: StrengthOfSet = {"entropy": np.stack(work.latest)}
                self._traits._strength_set = encode(tensors)

        work = Stepwise(steps)

        context.do(
            context.lanes.longest, "strength set", "how far heads attend", work, show,
            says=lambda: f"{len(work.latest or ())} of {len(images)} images",
        )  # fmt: skip


def _encoded(strength: AttentionStrength) -> bytes:
    tensors: StrengthTensors = {
        "profile": _of_image(strength.profile),
        "entropy": _of_image(strength.entropy),
        "distance": _of_image(strength.distance),
    }
    if strength.class_to_class is not None:
        tensors["class_to_class"] = _of_image(strength.class_to_class)
    if strength.class_to_patches is not None:
        tensors["class_to_patches"] = _of_image(strength.class_to_patches)
    if strength.patches_to_class is not None:
        tensors["patches_to_class"] = _of_image(strength.patches_to_class)
    return encode(tensors)


def _of_image(values: Tensor) -> NDArray[np.float32]:
    array: NDArray[np.float32] = values[0].float().cpu().numpy()
    return array
