"""A description with what a user says of the model's classes."""

from __future__ import annotations

import copy
from typing import TypeVar

from .class_names import ClassNamesLike, read_class_names
from .output_kind import OutputKind, binary_names, check_output, class_count, is_binary
from .vision_transformer import VisionTransformer

__all__ = ["with_classes", "with_classes_of"]

Description = TypeVar("Description", bound=VisionTransformer)


def with_classes(
    vit: Description, class_names: ClassNamesLike | None, output: OutputKind | None
) -> Description:
    """The same description with other names or another kind of output; itself without any.

    Parameters
    ----------
    vit : VisionTransformer
    class_names : sequence of str, mapping or path, optional
        See :func:`.read_class_names`.
    output : {"softmax", "sigmoid", "value", "features"}, optional

    Raises
    ------
    ParameterError
        If the names cannot be read, or there is no such kind.
    """
    if class_names is None and output is None:
        return vit
    said = copy.copy(vit)
    if output is not None:
        said.said_output = check_output(output)
        vit.check_output(said.said_output)
        said.num_classes = class_count(vit.num_classes, said.said_output)
    if class_names is not None:
        said.names = read_class_names(class_names)
        if said.has_classes or output is None:
            said.num_classes = said.num_classes or len(said.names)
    if is_binary(vit.num_classes, said.output):
        said.names = binary_names(said.names)
    return said


def with_classes_of(vit: Description, original: VisionTransformer) -> Description:
    """The description of a model's copy with what is known of the original's classes."""
    said = copy.copy(vit)
    said.num_classes, said.names = original.num_classes, original.names
    said.said_output = original.said_output
    return said
