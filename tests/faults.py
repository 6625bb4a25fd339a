"""Stop every long function by every fault, and look at what is kept.

python -m tests.faults
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from typing import Any
from unittest import mock

import torch
from torch import Tensor, nn

import vit_attention_widget as vaw
from tests.models import BY_NAME
from vit_attention_widget.patterns import autoencoder
from vit_attention_widget.patterns.collecting import CollectedHeads

__all__ = ["FAULTS", "FUNCTIONS", "WHERE", "Tried", "attempt", "progress_calls", "whole"]

TINY = BY_NAME["vit"]
WHERE = (0.35, 0.6, 0.9)
"""At which share of a function's calls (of the model, the data set, the callback) it is stopped."""

Run = Callable[..., Any]


@cache
def _all() -> Tensor:
    return TINY.inputs(40)


def images(count: int) -> list[Tensor]:
    """Model inputs, float64."""
    return list(_all()[:count])


@dataclass(frozen=True)
class Function:
    """A function that takes long, on how many images, and its numbers, a row for each part.

    ``alone`` says whether the numbers are compared with those of the part alone, rather than with
    the first rows of the whole.
    """

    run: Run
    count: int
    rows: Callable[[Any], Tensor]
    alone: bool = False
    reads_first: bool = False
    """Whether all images are read before anything is computed: then there is nothing to lose."""
    at_once: int = 8
    """How many images are measured together, at most."""


def _labeled(data: Any) -> Any:
    return ((image, number % 3) for number, image in enumerate(data))


def _bank(model: nn.Module, data: Any, **more: Any) -> Any:
    labels = [number % 3 for number in range(20)]
    pairs = zip(data, labels, strict=False) if isinstance(data, Iterator) else None
    if pairs is None:
        pairs = list(zip(data, labels, strict=False))
    return vaw.targets.MemoryBank.fit(_headless(), pairs, batch_size=4, k=3, **more)


@cache
def _headless() -> nn.Module:
    model = TINY.build()
    model.reset_classifier(0)
    return model


@mock.patch.object(autoencoder, "_STEPS", 20)  # how well it learns does not matter here
def _patterns(model: nn.Module, data: Any, **more: Any) -> Any:
    return vaw.AttentionPatterns(seeds=1, latent=4).fit(model, data, **more)


def _accuracy(model: nn.Module, data: Any, **more: Any) -> Any:
    pairs = _labeled(data)
    return vaw.accuracy(model, pairs if isinstance(data, Iterator) else list(pairs), **more)


def _prune_to(model: nn.Module, data: Any, **more: Any) -> Any:
    pairs = _labeled(data)
    pairs = pairs if isinstance(data, Iterator) else list(pairs)
    return vaw.prune_to(model, pairs, heads=3, **more)


def _rows_of_patterns(patterns: Any) -> Tensor:
    """The map, or what it would be learned from."""
    if isinstance(patterns, vaw.AttentionPatterns):
        return patterns.values
    return patterns.families["patches"].vectors  # type: ignore[no-any-return]


FUNCTIONS: dict[str, Function] = {
    "head_importance": Function(
        partial(vaw.head_importance, metric=["probability", "jsd"], max_batch=4),
        7,
        lambda r: torch.cat([r["probability"], r["jsd"]], -1),
        at_once=2,
    ),
    "head_interactions": Function(
        partial(vaw.head_interactions, metric="jsd", heads=[(0, 1), (2, 0)], max_batch=4),
        5,
        lambda r: r.values,
        at_once=2,
    ),
    "evaluate": Function(
        partial(vaw.evaluate, methods=["rollout", "daam"], steps=2, max_batch=2,
                metrics=["insertion", "increase"]),
        6,
        lambda r: r.values,
        at_once=2,
    ),
    "attention_strength": Function(vaw.attention_strength, 20, lambda r: r.profile),
    "image_overview": Function(
        partial(vaw.image_overview, metric="jsd"),
        30,
        lambda r: r.importance.values,
    ),
    "AttentionPatterns.fit": Function(_patterns, 20, _rows_of_patterns, alone=True),
    "MemoryBank.fit": Function(_bank, 12, lambda r: r.features, at_once=4),
    "accuracy": Function(_accuracy, 40, lambda r: torch.tensor([float(r)]), alone=True, at_once=16),
    "pruning_curve by jsd": Function(
        partial(vaw.pruning_curve, order="jsd"), 4, lambda r: r.values, reads_first=True
    ),
    "pruning_curve, greedy": Function(
        partial(vaw.pruning_curve, order="greedy"), 4, lambda r: r.values, reads_first=True
    ),
    "prune_to": Function(_prune_to, 12, lambda r: r.curve.values, reads_first=True),
    "compare": Function(
        partial(vaw.compare, methods=["rollout", "daam", "legrad"]),
        4,
        lambda r: r.values,
        reads_first=True,
    ),
}  # fmt: skip


class Countdown:
    """Runs something when it is called for the so-manieth time, and ever after if told so."""

    def __init__(self, at: int | None, act: Callable[[], Any], *, for_good: bool = False) -> None:
        self.calls, self.hit = 0, False
        self._at, self._act, self._for_good = at, act, for_good

    def __call__(self) -> Any:
        self.calls += 1
        if self._at is None or self.calls < self._at or (self.hit and not self._for_good):
            return None
        self.hit = True
        return self._act()


def _throw(error: BaseException) -> Callable[[], Any]:
    def act() -> Any:
        raise type(error)(*error.args)  # a new one each time: what was kept is an attribute

    return act


class _Model:
    """A hook on the last norm: what every pass, whole or without a head, goes through."""

    def __init__(self, countdown: Countdown, model: nn.Module) -> None:
        def hook(module: nn.Module, inputs: Any, out: Tensor) -> Tensor:
            return out * torch.nan if countdown() else out

        self.handle = model.norm.register_forward_hook(hook)  # type: ignore[union-attr, operator]


def _data(countdown: Countdown, count: int) -> Iterator[Tensor]:
    for image in images(count):
        countdown()
        yield image


class _Pictures(list[Any]):
    """A list of images of which one is a path that leads nowhere."""


def something_was_computed(name: str, fault: str, where: float) -> bool:
    """Whether a part was complete when the fault came, so that it must be kept."""
    function, (place, _) = FUNCTIONS[name], FAULTS[fault]
    if place in ("picture", "data"):  # so many images come before the fault
        before = int(where * function.count)
        before = before if place == "picture" else max(1, round(where * function.count)) - 1
        return not function.reads_first and before >= function.at_once
    return where > 0.5


FAULTS: dict[str, tuple[str, BaseException | None]] = {
    "a picture that cannot be read": ("picture", None),
    "an error of the data set": ("data", OSError("the disk is gone")),
    "logits that are not finite": ("nan", None),
    "an error in the forward pass": ("model for good", RuntimeError("shapes do not match")),
    "out of memory": ("model for good", torch.OutOfMemoryError("CUDA out of memory")),
    "an error of the progress callback": ("progress", ZeroDivisionError("in a callback")),
    "cancel": ("progress", vaw.errors.JobCancelled("enough")),
    "Ctrl-C": ("model", KeyboardInterrupt()),
}


@dataclass(frozen=True)
class Tried:
    """What came of a function that was stopped."""

    hit: bool
    partial: Any = None
    error: BaseException | None = None


def _call(name: str, place: str, countdown: Countdown, at: int | None) -> Any:
    function = FUNCTIONS[name]
    model = _headless() if name == "MemoryBank.fit" else TINY.build()
    data: Any = images(function.count)
    more: dict[str, Any] = {}
    handle = None
    if place == "picture" and at is not None:
        data[at] = "no such picture.png"
        countdown.hit = True
    elif place == "data":
        data = _data(countdown, function.count)
    elif place == "progress":
        more["progress"] = lambda fraction, label: countdown()
    elif place != "picture":
        handle = _Model(countdown, model).handle
    try:
        return function.run(model, data, **more)
    finally:
        if handle is not None:
            handle.remove()


@cache
def _whole(name: str) -> tuple[Any, int]:
    countdown = Countdown(None, lambda: None)
    return _call(name, "progress", countdown, None), countdown.calls


def whole(name: str) -> Any:
    """What a function returns where nothing stops it."""
    return _whole(name)[0]


def progress_calls(name: str) -> int:
    """How often it says how far it is."""
    return _whole(name)[1]


@cache
def _calls(name: str, place: str) -> int:
    if place == "progress":
        return progress_calls(name)
    countdown = Countdown(None, lambda: None)
    _call(name, place, countdown, None)
    return countdown.calls


def attempt(name: str, fault: str, where: float) -> Tried:
    """Stop a function at a share of its calls."""
    place, error = FAULTS[fault]
    if place == "picture":
        at, countdown = int(where * FUNCTIONS[name].count), Countdown(None, lambda: None)
    else:
        at = max(1, round(where * _calls(name, place)))
        act = (lambda: True) if error is None else _throw(error)
        countdown = Countdown(at, act, for_good=place in ("model for good", "nan"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            result = _call(name, place, countdown, at)
        except BaseException as stopped:
            if not countdown.hit:
                raise
            return Tried(True, getattr(stopped, "partial", None), stopped)
    return Tried(countdown.hit, result, getattr(result, "error", None))


def _collected(count: int) -> CollectedHeads:
    return CollectedHeads.of_trace(vaw.trace(TINY.build(), torch.stack(images(count))))


@cache
def _rows_alone(name: str, count: int) -> Tensor:
    """The numbers of so many images, where nothing stops the function."""
    function = FUNCTIONS[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return function.rows(function.run(TINY.build(), images(count)))


def differences(name: str, partial: Any) -> float:
    """The largest difference of what was kept from what it would be without the fault."""
    function = FUNCTIONS[name]
    kept = function.rows(partial)
    if isinstance(partial, CollectedHeads):
        expected = _rows_of_patterns(_collected(partial.n_images))
    elif function.alone:
        expected = _rows_alone(name, partial.n_images)
    else:
        expected = function.rows(whole(name))[: len(kept)]
    known = ~kept.isnan()
    assert known.any()
    return float((kept.double() - expected.double())[known].abs().max())


def main() -> None:
    """Print a table: of how many faults a part was kept, of how many there was none yet."""
    print(f"| | {' | '.join(FAULTS)} |")
    print("|---" * (len(FAULTS) + 1) + "|")
    tried = kept = lost = 0
    worst = 0.0
    for name in FUNCTIONS:
        cells = []
        for fault in FAULTS:
            outcomes = [(attempt(name, fault, where), where) for where in WHERE]
            parts = [each.partial for each, _ in outcomes if each.partial is not None]
            worst = max(worst, *(differences(name, part) for part in parts[-1:]), 0.0)
            nothing = [where for each, where in outcomes if each.partial is None]
            lost += sum(something_was_computed(name, fault, where) for where in nothing)
            tried, kept = tried + len(outcomes), kept + len(parts)
            cells.append(str(len(parts)) + (f" ({len(nothing)})" if nothing else ""))
        print(f"| `{name}` | {' | '.join(cells)} |", flush=True)
    print(f"tried {tried}, kept {kept}, lost {lost}, largest difference {worst:.0e}")


if __name__ == "__main__":
    main()
