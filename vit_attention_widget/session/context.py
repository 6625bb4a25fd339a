"""What the parts of a session share: what is looked at, what is selected, and who computes."""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import torch

from ..errors import ParameterError, ProtocolError, StaleTraceError, VitAttentionError
from ..models import VisionTransformer
from ..models.images import ImageLike
from ..overview.stored.images import StoredImages
from ..protocol.schema.results import Problem
from ..support.progress import Progress
from ..tracing.trace import Trace
from .explained import Explained
from .image_set import ImageSet
from .lanes import Job, Lane, Lanes
from .subject import Subject

if TYPE_CHECKING:
    from .traits import SessionTraits

__all__ = ["Context", "nothing"]

Result = TypeVar("Result")


@dataclass(frozen=True)
class _Paused:
    """Work that the user stopped: how far it was, whether it still counts, and how it goes on."""

    said: str
    counts: Callable[[], bool]
    go_on: Callable[[], None]


_KEEPS_CHANGING = 2.0
"""Changes of the model in so many seconds are one that goes on: it is not run after each."""

_IN_TRAINING = "It keeps changing, as in training: choose anything to look at it again later."


def nothing(*_: object) -> None:
    """Done with a job whose work publishes its own results."""


class Context:
    """The state of a session, which its studies are given.

    Parameters
    ----------
    traits : SessionTraits
        Selections and results, which views observe.
    subject : Subject
    image_set : ImageSet, optional
    stored : StoredImages, optional
        Images that a long run measures, beside which there is no image set.
    other_models : mapping, optional
        Models to compare with, by name.

    Attributes
    ----------
    lock : RLock
        Held while what belongs together is changed.
    look_again : callable
        Turns to the model as it is now.
    opened : int
        Number in the image set of the image that is looked at; -1 is the one that was given.
    own_image : image
        The image that was given, whichever is looked at.
    whole, pruned : Trace or None
        Traces of the whole model, and with the pruned heads masked.
    described : VisionTransformer or None
        The model as its first pass showed it; None until then.
    """

    def __init__(
        self,
        traits: SessionTraits,
        subject: Subject,
        image_set: ImageSet | None = None,
        other_models: Mapping[str, VisionTransformer] | None = None,
        stored: StoredImages | None = None,
    ) -> None:
        self.traits = traits
        self.subject = subject
        self.image_set, self.stored = image_set, stored
        self.other_models = dict(other_models or {})
        self.own_image, self.opened = subject.image, -1
        self.explained = Explained()
        self.whole: Trace | None = None
        self.pruned: Trace | None = None
        self.described: VisionTransformer | None = None
        self.lock = threading.RLock()
        self.look_again: Callable[[], None] = nothing
        self.lanes = Lanes(self.report)
        self._quiet = threading.local()
        self._error: Problem | None = None
        self._notice: Problem | None = None  # that the model had changed; until the next look
        self._last_change = -_KEEPS_CHANGING
        self._failed_slot = ""
        self._milliseconds: float | None = None
        self._paused: dict[str, _Paused] = {}

    # What is looked at ---------------------------------------------------------------------------

    @property
    def vit(self) -> VisionTransformer:
        """The description of the model that is looked at."""
        return self.described or self.subject.vit

    def is_about(self, vit: VisionTransformer) -> bool:
        """Whether a description is that of the model that is looked at, or was before its pass."""
        return vit is self.described or vit is self.subject.vit

    def turn_to(self, subject: Subject) -> None:
        """Look at another model or image."""
        self.subject, self.described = subject, None

    @property
    def trace(self) -> Trace | None:
        """The trace of what is shown: with the pruned heads masked. None until it is there."""
        return self.pruned if self.pruned is not None else self.whole

    def shown(self) -> Trace:
        """The trace of what is shown; raises :class:`ProtocolError` until it is there."""
        trace = self.trace
        if trace is None:
            reason = self._no_trace
            raise ProtocolError(
                reason["message"]
                if reason
                else "The model has not looked at the image yet: ask again later."
            )
        return trace

    def wait_for_trace(self) -> None:
        """Block a slower lane until the trace that is being computed is there."""
        self.lanes.quick.wait()

    def images(self) -> ImageSet:
        """The image set; raises :class:`ParameterError` without one."""
        if self.stored is not None:
            raise ParameterError(
                f"{self.stored.folder} holds numbers of images: to compute on images give the "
                "session image_set=[...]."
            )
        if self.image_set is None:
            raise ParameterError("There is no set of images: give the session image_set=[...].")
        return self.image_set

    @property
    def openable(self) -> ImageSet | StoredImages | None:
        """Images that can be looked at by their number."""
        return self.image_set if self.stored is None else self.stored

    def as_input(self, index: int) -> ImageLike:
        """What the model is given of an image that can be looked at; -1 is the one given."""
        if index < 0:
            return self.own_image
        return self._openable().as_input(index)

    def _openable(self) -> ImageSet | StoredImages:
        return self.images() if self.stored is None else self.stored

    @property
    def labels(self) -> list[int] | None:
        """Class index of each image of the set; None without a set or labels."""
        return None if self.image_set is None else self.image_set.labels

    @property
    def explains(self) -> bool:
        """Whether there is anything to explain: a class, or another target."""
        return self.vit.has_classes or self.explained.other is not None

    @property
    def explains_class(self) -> bool:
        """Whether a class is explained, and not another target."""
        return self.vit.has_classes and self.explained.other is None

    @property
    def image_name(self) -> str:
        """What the image is called."""
        if self.opened < 0:
            return self.subject.image_name
        return self._openable().name(self.opened)

    @property
    def raw_image(self) -> ImageLike:
        """What is looked at before any model's own preparation, as each model has its own."""
        return self.own_image if self.opened < 0 else self._openable().raw(self.opened)

    # Selections without a user's choice ----------------------------------------------------------

    @contextmanager
    def quietly(self) -> Iterator[None]:
        """Set selections in the body without doing what a user's choice would do."""
        self._quiet.depth = self._depth + 1
        try:
            yield
        finally:
            self._quiet.depth -= 1

    @property
    def is_quiet(self) -> bool:
        """Whether this thread is setting selections :meth:`quietly`; others still choose."""
        return self._depth > 0

    @property
    def _depth(self) -> int:
        depth: int = getattr(self._quiet, "depth", 0)
        return depth

    # Work ----------------------------------------------------------------------------------------

    def do(
        self,
        lane: Lane,
        slot: str,
        label: str,
        work: Callable[[Progress], Result],
        done: Callable[[Result], None] = nothing,
        *,
        still: Callable[[], bool] | None = None,
        dropped: Callable[[], None] = nothing,
        says: Callable[[], str] | None = None,
        go_on: Callable[[], None] | None = None,
    ) -> None:
        """Compute in a lane, and take the result unless something newer has replaced its subject.

        Parameters
        ----------
        lane : Lane
        slot : str
            In a slot, the latest work wins.
        label : str
            What the status says meanwhile; "" for what takes no time.
        work : callable
            Given a progress callback, in the lane's thread.
        done : callable
            Given the result, with the lock held.
        still : callable, optional
            Whether the result still counts; by default while the same model and image are looked
            at.
        dropped : callable, optional
            Called instead of ``done``, with the lock held, if the work failed, was cancelled, or
            no longer counts.
        says : callable, optional
            Says how far it is, should the user stop it, e.g. "34 of 144 heads"; by default its
            share in percent.
        go_on : callable, optional
            Starts it again after the user stopped it; by default this same work, which goes on
            where it was if it is :class:`~.stepwise.Stepwise`.
        """
        started, subject = time.perf_counter(), self.subject
        counts = still if still is not None else lambda: self.subject is subject

        def again() -> None:
            self.do(
                lane, slot, label, work, done,
                still=still, dropped=dropped, says=says, go_on=go_on,
            )  # fmt: skip

        if slot == "trace" and self.whole is not None:  # else nothing was seen under it yet
            self._notice = None

        def checked(progress: Progress) -> Result:
            if still is None:
                self.check_model()
            return work(progress)

        def finish(result: Result) -> None:
            with self.lock:
                if not counts():
                    dropped()
                    return
                if slot in ("trace", self._failed_slot):  # another look, or it works now
                    self._error = None
                self._milliseconds = (time.perf_counter() - started) * 1000
                done(result)

        def failed(error: BaseException) -> None:
            with self.lock:
                counted = counts()
                dropped()
                if counted and isinstance(error, StaleTraceError):
                    self.take_change(error)
                elif counted:
                    self.fail(error, slot)

        def cancelled() -> None:
            with self.lock:
                if job.is_paused and label and counts():
                    share = f"{label}: {round(100 * (job.fraction or 0))} %"
                    said = share if says is None else says()
                    # What starts anew by itself needs the same model and image only.
                    holds = counts if go_on is None else lambda: self.subject is subject
                    self._paused[slot] = _Paused(said, holds, go_on or again)
                dropped()

        job = Job(slot, label, checked, finish, failed, cancelled)
        self._paused.pop(slot, None)
        lane.submit(job)

    def pause(self) -> None:
        """Stop what takes long where it can go on."""
        self.lanes.long.pause()
        self.lanes.longest.pause()

    def go_on(self) -> None:
        """Go on with what was paused and still counts."""
        with self.lock:
            paused = {slot: work for slot, work in self._paused.items() if work.counts()}
            self._paused.clear()
        for slot in sorted(paused, key=lambda slot: slot != "trace"):  # the rest needs a trace
            paused[slot].go_on()

    def check_model(self) -> None:
        """Raise :class:`StaleTraceError` if the model has changed since it was looked at."""
        whole = self.whole
        if whole is not None:
            whole.forward_pass.check_weights()

    def take_change(self, error: StaleTraceError) -> None:
        """Look at the model again, as it is now, and say why; once in a while, if it goes on."""
        with self.lock:
            message = str(error).removesuffix(" Trace again.")
            now, last = time.monotonic(), self._last_change
            self._last_change = now
            if now - last < _KEEPS_CHANGING:
                self._failed_slot = "trace"
                self._error = {"message": message, "hint": _IN_TRAINING, "details": ""}
                self.report()
                return
            try:
                self.look_again()
            except VitAttentionError as refused:
                self.fail(refused, "trace")
                return
            hint = "It was looked at again: all that is shown is of the model as it is now."
            self._notice = {"message": message, "hint": hint, "details": ""}

    def fail(self, error: BaseException, slot: str = "") -> None:
        """Say in the status what went wrong, until the same slot works again."""
        ours = isinstance(error, VitAttentionError)
        details = "" if ours else "".join(traceback.format_exception(error))
        hint = "" if ours else "What was shown before is still there; the details say more."
        if isinstance(error, torch.OutOfMemoryError):
            hint = "The device ran out of memory: try a smaller image, or the CPU."
        if self._no_trace and slot != "trace":  # what could not begin does not hide why
            self.report()
            return
        self._failed_slot = slot
        self._error = {"message": str(error) or repr(error), "hint": hint, "details": details}
        self.report()

    @property
    def _no_trace(self) -> Problem | None:
        """Why the model could not look at the image; None if it did, or did not try yet."""
        return self._error if self.trace is None and self._failed_slot == "trace" else None

    def report(self) -> None:
        """Say in the status what is being computed."""
        jobs = [lane.running for lane in self.lanes]
        running = next((job for job in jobs if job is not None and job.label), None)
        self.traits.status = {
            "state": "computing" if running else "error" if self._error else "idle",
            "label": running.said if running else "",
            "progress": running.fraction if running else None,
            "error": self._error or self._notice,
            "milliseconds": self._milliseconds,
            "paused": [work.said for work in self._paused.values() if work.counts()],
        }
