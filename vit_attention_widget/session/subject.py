"""The model and the image that a session looks at."""

from __future__ import annotations

import os
from dataclasses import dataclass

from torch import Tensor, nn

from ..models import VisionTransformer, describe
from ..models.images import ImageLike
from ..models.token_layout import TokenLayout
from ..support.words import sendable

__all__ = ["Subject", "image_name"]


@dataclass(frozen=True, eq=False)
class Subject:
    """A model and an image, prepared as that model takes it.

    Attributes
    ----------
    vit : VisionTransformer
    image : image
        As the user gave it.
    inputs : Tensor
        [1, channel, height, width].
    tokens : TokenLayout
    """

    vit: VisionTransformer
    image: ImageLike
    inputs: Tensor
    tokens: TokenLayout

    @classmethod
    def of(cls, model: nn.Module | VisionTransformer, image: ImageLike) -> Subject:
        """Describe the model and prepare the image.

        Raises
        ------
        UnsupportedModelError, ImageError
        """
        vit = describe(model)
        inputs = vit.prepare(image)[:1]
        return cls(vit, image, inputs, vit.tokens(inputs))

    @property
    def image_name(self) -> str:
        """The file name of the image where it has one, else "image"."""
        return image_name(self.image)

    @property
    def first_token(self) -> int:
        """The class token, or the patch in the middle of a model without one."""
        tokens = self.tokens
        if tokens.class_token is not None:
            return tokens.class_token
        return tokens.token(tokens.rows // 2, tokens.cols // 2)


def image_name(image: object) -> str:
    """The file name of an image where it has one, in letters that can be sent, else "image"."""
    name = getattr(image, "filename", getattr(image, "name", image))
    if not isinstance(name, str | os.PathLike):
        return "image"
    last = os.fsdecode(name).replace("\\", "/").rsplit("/", 1)[-1]
    return sendable(last) or "image"
