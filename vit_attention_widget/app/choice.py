"""What is to be looked at, as it was said in the terminal."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import nn

from ..errors import ParameterError
from ..models import VisionTransformer, describe
from ..models.images import load_image
from ..support.words import said
from .loading import load_model
from .which_library import Library

if TYPE_CHECKING:
    from ..widgets import Explorer

__all__ = ["FIRST_SCENE", "Choice"]

FIRST_SCENE = (208, ("heart", "star"))
"""A drawn scene in which one head decides."""


@dataclass(frozen=True)
class Choice:
    """What is to be looked at; None for what is bundled, or the library's own.

    Attributes
    ----------
    image : str or None
        The picture's path.
    model, library, weights : optional
        As :func:`~.loading.load_model` takes them.
    class_names : str or None
        A file with the names of the classes.
    device : str or None
        Where the model runs; None for the CPU.
    """

    image: str | None = None
    model: str | None = None
    library: Library | None = None
    weights: str | None = None
    class_names: str | None = None
    device: str | None = None

    def check_files(self) -> None:
        """Refuse what can be told to be wrong without the model.

        Raises
        ------
        ParameterError, ImageError
            If a file is not there, the picture cannot be read, weights come without a model, or
            there is no such device.
        """
        if self.model is None and (self.library or self.weights):
            raise ParameterError("--library and --weights are about a model: name it by --model.")
        if self.device is not None:
            _check_device(self.device)
        if self.image is not None:
            load_image(self.image)
        if self.class_names is not None and not Path(self.class_names).expanduser().is_file():
            raise ParameterError(f"There is no file {self.class_names!r} of class names.")

    def described(self) -> VisionTransformer:
        """The model, with its classes.

        Raises
        ------
        UnsupportedModelError, ParameterError
            As :func:`~.loading.load_model` and :func:`~..models.describe` raise them.
        """
        model: nn.Module
        if self.model is None:
            from ..demo import load_model as bundled

            model = bundled()
        else:
            model = load_model(self.model, library=self.library, weights=self.weights)
        if self.device is not None:
            model = model.to(self.device)
        return describe(model, class_names=self.class_names)

    def explorer(self) -> Explorer:
        """The Explorer of it, with all that it shows computed."""
        from ..demo import two_objects
        from ..widgets import Explorer

        image = two_objects(*FIRST_SCENE).image if self.image is None else self.image
        explorer = Explorer(self.described(), image)
        explorer.wait()
        return explorer


def _check_device(device: str) -> None:
    """Refuse what PyTorch cannot compute on, here and now."""
    try:
        torch.zeros(1, device=device).item()
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise ParameterError(
            f"Nothing can be computed on --device {device}: {said(error)} Try cpu, cuda or mps."
        ) from error
