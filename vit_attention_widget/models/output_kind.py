"""What the numbers that a model returns stand for, and how they are read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias, get_args

import torch
from torch import Tensor

from ..errors import ParameterError

__all__ = [
    "OUTPUT_KINDS",
    "OutputKind",
    "binary_names",
    "check_output",
    "class_count",
    "class_logits",
    "found_output",
    "is_binary",
    "picks",
    "probabilities",
]

OutputKind: TypeAlias = Literal["softmax", "sigmoid", "value", "features"]
"""What the numbers that a model returns stand for.

``"softmax"``: one class of several. ``"sigmoid"``: each class is there or not (multi-label); with
one logit z, two classes, no and yes, of logits -z and z. ``"value"``: each number means itself
(regression). ``"features"``: nothing by themselves; the model has no classifier.
"""

OUTPUT_KINDS: tuple[OutputKind, ...] = get_args(OutputKind)

_OF_PROBLEM_TYPE: dict[str | None, OutputKind] = {
    "multi_label_classification": "sigmoid",
    "regression": "value",
}
"""What transformers calls them."""


def check_output(output: str) -> OutputKind:
    """A kind of output that a user gave; raises :class:`ParameterError` if there is none such."""
    for kind in OUTPUT_KINDS:
        if output == kind:
            return kind
    raise ParameterError(f"output is {output!r}: choose from {', '.join(OUTPUT_KINDS)}.")


def found_output(problem_type: str | None) -> OutputKind | None:
    """The kind that a configuration of transformers says, or None if the logits' number decides."""
    return _OF_PROBLEM_TYPE.get(problem_type)


def is_binary(num_logits: int, kind: OutputKind) -> bool:
    """Whether one logit says yes or no."""
    return kind == "sigmoid" and num_logits == 1


def class_count(num_logits: int, kind: OutputKind) -> int:
    """How many classes so many logits stand for."""
    if kind == "features":
        return 0
    return 2 if is_binary(num_logits, kind) else num_logits


def binary_names(names: Sequence[str] | None) -> list[str]:
    """What the two classes of one logit are called, by the names of both, of yes, or none."""
    if not names:
        return ["no", "yes"]
    return [f"not {names[0]}", names[0]] if len(names) == 1 else list(names)


def class_logits(logits: Tensor, kind: OutputKind) -> Tensor:
    """The logit of each class, [..., class]: the logits, or -z and z of one that says yes or no.

    Parameters
    ----------
    logits : Tensor
        [..., logit].
    kind : OutputKind
    """
    binary = is_binary(logits.shape[-1], kind)
    return torch.cat([-logits, logits], -1) if binary else logits


def probabilities(logits: Tensor, kind: OutputKind) -> Tensor:
    r"""What a model says of each class, [..., class], in at least float32.

    Softmax over the classes; :math:`\sigma` of each class's logit; or, where the numbers mean
    themselves (``"value"``, ``"features"``), the numbers.

    Parameters
    ----------
    logits : Tensor
        [..., logit].
    kind : OutputKind
    """
    wide = class_logits(logits if logits.element_size() >= 4 else logits.float(), kind)
    if kind == "softmax":
        return wide.softmax(-1)
    return wide.sigmoid() if kind == "sigmoid" else wide


def picks(logits: Tensor, kind: OutputKind) -> Tensor:
    """Which classes a model says are present, [..., class] bool.

    The class of the largest logit; or, where each class is there or not, those that are more
    probable than not.
    """
    each = class_logits(logits, kind)
    if kind == "sigmoid":
        return each > 0
    return torch.zeros_like(each, dtype=torch.bool).scatter(-1, each.argmax(-1, keepdim=True), True)
