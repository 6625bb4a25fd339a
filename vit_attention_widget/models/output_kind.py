"""What the numbers that a model returns stand for, and what is said of them."""

from __future__ import annotations

from typing import Literal, TypeAlias, get_args

from torch import Tensor

from ..errors import ParameterError

__all__ = ["OUTPUT_KINDS", "OutputKind", "check_output", "found_output", "picks", "probabilities"]

OutputKind: TypeAlias = Literal["softmax", "sigmoid", "value", "features"]
"""What the numbers that a model returns stand for.

``"softmax"``: one class of several. ``"sigmoid"``: each class is there or not (multi-label; with
one logit, binary). ``"value"``: each number means itself (regression). ``"features"``: nothing by
themselves; the model has no classifier.
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


def probabilities(logits: Tensor, kind: OutputKind) -> Tensor:
    r"""What is said of each class, [..., class], in at least float32.

    Softmax over the classes; :math:`\sigma` of each logit; or, where the numbers mean themselves
    (``"value"``, ``"features"``), the numbers.

    Parameters
    ----------
    logits : Tensor
        [..., class].
    kind : OutputKind
    """
    wide = logits if logits.element_size() >= 4 else logits.float()
    if kind == "softmax":
        return wide.softmax(-1)
    return wide.sigmoid() if kind == "sigmoid" else wide


def picks(logits: Tensor, kind: OutputKind) -> Tensor:
    """Which classes a model says are there, [..., class] bool.

    The largest logit's class; or, where each class is there or not, those that are more probable
    than not.
    """
    if kind == "sigmoid":
        return logits > 0
    first = logits.argmax(-1, keepdim=True)
    return logits.new_zeros(logits.shape).scatter(-1, first, 1).bool()
