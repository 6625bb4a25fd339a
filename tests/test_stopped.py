"""Whatever stops a long computation, what was computed is returned or kept, and gone on from."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import vit_attention_widget as vaw
from tests.models import BY_NAME
from vit_attention_widget.errors import JobCancelled, ParameterError

TINY = BY_NAME["vit"]
COUNT = 5
STOPS: tuple[type[BaseException], ...] = (KeyboardInterrupt, JobCancelled)


@pytest.fixture(scope="module")
def model() -> nn.Module:
    return TINY.build()


@pytest.fixture(scope="module")
def images() -> Tensor:
    return TINY.inputs(COUNT)


def raising(kind: type[BaseException], at: int) -> Callable[[float, str], None]:
    """A progress callback that raises when it is called for the ``at``-th time."""
    calls = 0

    def report(fraction: float, label: str) -> None:
        nonlocal calls
        calls += 1
        if calls == at:
            raise kind("enough")

    return report


def importance(model: nn.Module, images: Tensor, **more: object) -> vaw.HeadImportance:
    return vaw.head_importance(
        model, images, metric=["probability", "jsd"], max_batch=4, **more
    )  # two images at a time, head by head


def same(importance: vaw.HeadImportance, whole: vaw.HeadImportance) -> None:
    for metric in whole.metrics:
        torch.testing.assert_close(importance[metric], whole[metric], rtol=0, atol=0)
    torch.testing.assert_close(importance.baseline, whole.baseline, rtol=0, atol=0)


@pytest.mark.parametrize("stop", STOPS)
@pytest.mark.parametrize("at", [1, 2, 4, 5])
def test_a_stop_is_raised_and_kept(
    model: nn.Module, images: Tensor, stop: type[BaseException], at: int
) -> None:
    whole = importance(model, images)
    assert whole.complete
    with pytest.raises(stop) as raised:
        importance(model, images, progress=raising(stop, at))
    kept = vaw.kept_result()
    assert kept is raised.value.partial  # type: ignore[attr-defined]
    assert isinstance(kept, vaw.HeadImportance)
    assert not kept.complete
    known = ~kept.values.isnan()
    assert known.any()
    expected = whole.values[: len(kept)]
    torch.testing.assert_close(kept.values[known], expected[known], rtol=0, atol=0)
    assert kept.how_far in repr(kept)
    assert kept.how_far in kept._repr_html_()


@pytest.mark.parametrize("at", [1, 2, 4, 5, 8])
def test_an_error_returns_what_there_was_and_the_same_call_goes_on(
    model: nn.Module, images: Tensor, at: int, tmp_path: Path
) -> None:
    whole = importance(model, images)
    with pytest.warns(UserWarning, match="OSError stopped it: enough"):
        partial = importance(model, images, progress=raising(OSError, at))
    assert isinstance(partial.error, OSError)
    assert not partial.complete
    partial.save(tmp_path / "partial.safetensors")
    ran: list[float] = []
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for start in (partial, vaw.HeadImportance.load(tmp_path / "partial.safetensors")):
            assert start.how_far == partial.how_far
            ran.clear()
            gone_on = importance(model, images, start=start, progress=lambda f, _: ran.append(f))
            assert gone_on.complete
            same(gone_on, whole)
            assert 0 < len(ran) < 9  # nine calls in all: three layers, three batches


def test_how_far_is_said_in_heads_and_images(model: nn.Module, images: Tensor) -> None:
    steps = list(vaw.head_importance_steps(model, images[:1], metric="jsd"))
    heads = sum(vaw.describe(model).num_heads)
    assert steps[0].how_far == f"2 of {heads} heads"
    assert [each.complete for each in steps] == [False] * (len(steps) - 1) + [True]
    assert steps[-1].how_far == "1 image"
    several = list(vaw.head_importance_steps(model, images, metric="jsd", max_batch=4))
    assert (
        several[3].how_far == f"2 of {COUNT} images, and 2 of {heads} heads of 2 images of the next"
    )


def test_a_trace_goes_on_from_heads_that_are_known(model: nn.Module, images: Tensor) -> None:
    trace = vaw.trace(model, images[:1])
    whole = vaw.head_importance(trace, metric=["jsd", "taylor"])
    steps = vaw.head_importance_steps(trace, metric=["jsd", "taylor"])
    start = [next(steps) for _ in range(3)][-1]
    same(vaw.head_importance(trace, metric=["jsd", "taylor"], start=start), whole)


def test_going_on_from_something_else_is_refused(model: nn.Module, images: Tensor) -> None:
    start = next(vaw.head_importance_steps(model, images[:2], metric="jsd"))
    with pytest.raises(ParameterError, match="start has jsd, but probability"):
        vaw.head_importance(model, images[:2], start=start)
    with pytest.raises(ParameterError, match="another model, target or other images"):
        vaw.head_importance(model, images[2:4] * 3, metric="jsd", start=start)
    with pytest.raises(ParameterError, match="not a HeadImportance"):
        vaw.head_importance(model, images, start={})  # type: ignore[arg-type]
    wide = vaw.demo.load_model()
    with pytest.raises(ParameterError, match="another model"):
        vaw.head_importance(wide, torch.zeros(2, 3, 80, 80), metric="jsd", start=start)


def test_an_error_that_is_kept_holds_no_activations(model: nn.Module, images: Tensor) -> None:
    held = torch.zeros(1)

    def broken(fraction: float, label: str) -> None:
        big = held  # noqa: F841 - what a frame of the traceback would hold
        raise OSError("enough")

    with pytest.warns(UserWarning, match="OSError"):
        partial = importance(model, images, progress=broken)
    assert partial.error is not None
    entry = partial.error.__traceback__
    names = []
    while entry is not None:
        names.append(entry.tb_frame.f_code.co_name)
        assert entry.tb_frame.f_code.co_name == "last_known" or not entry.tb_frame.f_locals
        entry = entry.tb_next
    assert names[-1] == "broken"  # the traceback is still there
