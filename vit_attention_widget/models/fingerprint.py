"""Which model something was learned from."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from ..capture.masked_now import masked_now
from ..errors import ParameterError
from ..results.storage import JsonObject
from ..support.identity import identity_of
from ..support.warn import warn_caller
from .libraries import describe
from .text_prompts import with_prompts
from .told_output import output_for_picture, prepared_picture, same_output, same_picture
from .vision_transformer import VisionTransformer
from .weight_sums import same_weights, weight_sums
from .weights_state import WeightsState, hooks_of

__all__ = ["ModelFingerprint", "fingerprint", "sampled", "samples_of"]

_SAMPLES = 16
"""Values of each parameter that are compared where no more is known."""

_HALF = 5.0
"""The output may differ by so many times as much where one model is in half precision."""


class _Whole(NamedTuple):
    """All weights of a model, and what it gives: the output is that for the picture."""

    sums: Tensor
    picture: list[float] | None
    output: list[float] | None


@dataclass(frozen=True)
class ModelFingerprint:
    """A model by name, heads of each layer, all its weights, and what it gives for a picture.

    A file of an earlier release knows but a few values of every parameter.
    """

    name: str
    num_heads: tuple[int, ...]
    samples: Tensor = field(repr=False, compare=False)
    whole: _Whole | None = field(default=None, repr=False, compare=False)

    def _told_by(self) -> dict[str, object]:
        """What tells it from others, where a run is kept; as earlier releases say it."""
        return {"name": self.name, "num_heads": self.num_heads, "samples": self.samples}

    def to_parts(self) -> tuple[dict[str, Tensor], JsonObject]:
        """What a file holds of it: tensors, and the rest as JSON has it."""
        about: JsonObject = {"name": self.name, "num_heads": self.num_heads}
        tensors = {"model": self.samples}
        if self.whole is not None:
            tensors["model sums"] = self.whole.sums
            about |= {"picture": self.whole.picture, "output": self.whole.output}
        return tensors, about

    @classmethod
    def from_parts(cls, tensors: dict[str, Tensor], about: JsonObject) -> ModelFingerprint:
        """A fingerprint out of a file; raises :class:`ValueError` if it is none."""
        name, num_heads, samples = about["name"], tuple(about["num_heads"]), tensors["model"]
        sums, picture, output = tensors.get("model sums"), about.get("picture"), about.get("output")
        are_counts = all(type(count) is int for count in num_heads)
        is_told = sums is None or (
            sums.dtype == torch.int64 and sums.ndim == 2 and sums.shape[1] == 5
            and _are_numbers(picture) and _are_numbers(output)
        )  # fmt: skip
        if not isinstance(name, str) or not are_counts or not samples.is_floating_point():
            raise ValueError("it does not say of which model it was made")
        if not is_told:
            raise ValueError("what it says of the model's weights and output cannot be")
        whole = None if sums is None else _Whole(sums, picture, output)
        return cls(name, num_heads, samples, whole)

    def warn_if_old(self, path: str | Path) -> None:
        """Warn where little is known of the model, because an earlier release wrote the file."""
        if self.whole is None:
            warn_caller(
                f"{path} was written by an earlier release, which kept {_SAMPLES} values of each "
                f"parameter of {self.name}: a model that differs elsewhere, in a single head, is "
                "not refused. Fit it again to be sure."
            )

    def check(
        self,
        model: nn.Module | VisionTransformer,
        what: str = "These patterns were learned",
        advice: str = "Fit them on yours.",
    ) -> None:
        """Raise :class:`ParameterError` unless it is this model, in whatever precision.

        ``what`` begins the message: what was made of the model; ``advice`` ends it.
        """
        other = fingerprint(model)
        why = self._difference(other, describe(model).model)
        if why is not None:
            raise ParameterError(
                f"{what} of another model ({self.name}; yours is {other.name}): {why}. {advice}"
            )

    def _difference(self, other: ModelFingerprint, model: nn.Module) -> str | None:
        """What is different in a model, with its fingerprint; None where nothing is."""
        if other.num_heads != self.num_heads:
            return f"it has {sum(self.num_heads)} heads, yours {sum(other.num_heads)}"
        if other.samples.shape != self.samples.shape:
            return "its layers have other sizes"
        then, now, all_compared = self.whole, other.whole, False
        if then is not None and now is not None:
            if then.sums.shape != now.sums.shape:
                return f"it has {len(then.sums)} weights and buffers, yours {len(now.sums)}"
            same, all_compared = same_weights(then.sums, now.sums)
            changed = [
                n for n, is_same in zip(model.state_dict(), same, strict=True) if not is_same
            ]
            if changed:
                more = f" and {len(changed) - 1} others" if changed[1:] else ""
                return f"the weights differ ({changed[0]}{more})"
        if not (all_compared or _alike(other.samples, self.samples)):
            return "the weights differ"
        if then is not None and now is not None and _gives_another(then, now):
            return (
                "the weights are the same, but not what it gives for a picture (hooks, or other "
                "code)"
            )
        return None


def fingerprint(model: nn.Module | VisionTransformer) -> ModelFingerprint:
    """The fingerprint of a model as it is now; all weights are read again where they changed."""
    vit = with_prompts(describe(model), ())  # prompts may change
    return replace(sampled(vit), whole=_whole(vit))


def sampled(vit: VisionTransformer) -> ModelFingerprint:
    """The fingerprint of a model without what takes long to read."""
    return ModelFingerprint(vit.name, tuple(vit.num_heads), samples_of(vit))


def samples_of(vit: VisionTransformer) -> Tensor:
    """A few values of every parameter, [value] float32."""
    samples = []
    for _, value in sorted(vit.model.named_parameters()):
        flat = value.detach().flatten()
        samples.append(flat[:: max(1, flat.numel() // _SAMPLES)][:_SAMPLES].float().cpu())
    return torch.cat(samples)


class _Read(NamedTuple):
    """What was read of a model, and in which state."""

    state: WeightsState
    code: tuple[object, ...]
    whole: _Whole


_read: WeakKeyDictionary[nn.Module, _Read] = WeakKeyDictionary()


def _whole(vit: VisionTransformer) -> _Whole:
    masked = masked_now(vit.blocks)  # beside the model: as heads that a trace masks
    code = masked, hooks_of(vit.model), identity_of(getattr(vit, "_forward", None))
    read = _read.get(vit.model)
    if read is None or read.code != code or read.state.difference(vit.model) is not None:
        state, output = WeightsState.of(vit.model), None
        if not masked:
            with torch.autocast(vit.device.type, enabled=False):
                output = output_for_picture(vit)
        whole = _Whole(weight_sums(vit.model), prepared_picture(vit), output)
        read = _read[vit.model] = _Read(state, code, whole)
    return read.whole


def _are_numbers(values: object) -> bool:
    return values is None or (
        isinstance(values, list) and all(type(value) in (int, float) for value in values)
    )


def _alike(some: Tensor, others: Tensor) -> bool:
    return torch.allclose(some, others, rtol=0.02, atol=1e-4)


def _gives_another(then: _Whole, now: _Whole) -> bool:
    """Whether the same picture becomes another output; one prepared otherwise says nothing."""
    if then.picture is None or now.picture is None or not same_picture(then.picture, now.picture):
        return False
    if then.output is None or now.output is None:
        return False
    same_precision = torch.equal(then.sums[:, 0], now.sums[:, 0])
    return not same_output(then.output, now.output, 1 if same_precision else _HALF)
