"""What is to be looked at, as it was said in the terminal."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from torch import nn

from ..errors import ParameterError
from ..models import VisionTransformer, describe
from ..models.images import load_image
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
    """

    image: str | None = None
    model: str | None = None
    library: Library | None = None
    weights: str | None = None
    class_names: str | None = None

    def check_files(self) -> None:
        """Refuse what can be told to be wrong without the model.

        Raises
        ------
        ParameterError, ImageError
            If a file is not there, the picture cannot be read, or weights come without a model.
        """
        if self.model is None and (self.library or self.weights):
            raise ParameterError("--library and --weights are about a model: name it by --model.")
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
        return describe(model, class_names=self.class_names)

    def explorer(self) -> Explorer:
        """The Explorer of it, with all that it shows computed."""
        from ..demo import two_objects
        from ..widgets import Explorer

        image = two_objects(*FIRST_SCENE).image if self.image is None else self.image
        explorer = Explorer(self.described(), image)
        explorer.wait()
        return explorer
