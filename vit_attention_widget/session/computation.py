"""How a session computes what its selections ask for, in two threads."""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
import traitlets
from numpy.typing import NDArray
from torch import nn

from ..errors import ProtocolError, VitAttentionError
from ..explainers import METHODS
from ..jobs import Job, Lane
from ..selection import check_heads, heads_by_layer
from ..trace import Trace
from ..tracing import first_difference, remask, trace
from ..vision_transformers import VisionTransformer, describe
from ..wire import encode
from . import results
from .selection import SELECTIONS, Selection, pruned_pairs

__all__ = ["RESULTS", "Computation", "image_name", "no_result"]

RESULTS = (
    "model_info",
    "picture",
    "decision",
    "maps",
    "importance_data",
    "accuracy",
    "partial",
    "curves",
    "strength_data",
    "strength_set",
    "patterns_info",
    "patterns_here",
    "overview",
    "thumbnails",
    "comparison",
    "comparison_maps",
    "faithfulness",
    "attention_rows",
    "status",
    "version",
)
"""Names of the results that go to the browser."""

_MAPS_AT_ONCE = 400_000
"""Bytes of maps that are sent together; above it only the selected method's."""

Progress = Callable[[float, str], None]


class Computation(Selection):
    """Selections, and the results that follow from them.

    The quick lane does what is waited for (traces, rows), the long one what takes time (maps,
    leaving heads out), the longest what a user asked for and may take minutes (curves). A result is
    taken only if nothing newer has replaced what it is about.
    """

    model_info = traitlets.Dict()
    picture = traitlets.Bytes(b"")
    decision = traitlets.Dict()
    maps = traitlets.Bytes(b"")
    attention_rows = traitlets.Bytes(b"")
    status = traitlets.Dict()
    version = traitlets.Int(0)

    _ready = False

    def _prepare_lanes(self) -> None:
        self._quiet = 0
        self._lock = threading.RLock()
        self._error: dict[str, str] | None = None
        self._milliseconds: float | None = None
        self._follow_prediction = True
        self._look = 0  # grows with every new model or image
        self._quick = Lane("vaw-quick", self._report)
        self._long = Lane("vaw-long", self._report)
        self._longest = Lane("vaw-longest", self._report)
        self._lanes = (self._quick, self._long, self._longest)
        self._reset_results()

    def _begin(self) -> None:
        self.observe(self._selected, names=list(SELECTIONS))
        self._ready = True
        self._report()
        self._start()

    @property
    def trace(self) -> Trace | None:
        """The trace of what is shown: with the pruned heads masked. None until it is there."""
        return self._pruned if self._pruned is not None else self._whole

    def _shown(self) -> Trace:
        found = self.trace
        if found is None:
            raise ProtocolError("The model has not looked at the image yet: ask again later.")
        return found

    def _prepared(self, model: nn.Module | VisionTransformer, image: Any) -> tuple[Any, ...]:
        """A model and an image as the session keeps them; raises before anything has changed."""
        vit = describe(model)
        inputs = vit.prepare(image)[:1]
        return vit, image, inputs, vit.tokens(inputs)

    def _take(self, prepared: tuple[Any, ...]) -> None:
        self._vit, self._image, self._inputs, self._tokens = prepared
        self._look += 1

    def _first_look(self) -> dict[str, Any]:
        """What the last layer makes of the class token, or of the patch in the middle."""
        tokens = self._tokens
        middle = tokens.token(tokens.rows // 2, tokens.cols // 2)
        return {
            "method": "daam" if self._vit.num_classes else "rollout",
            "selected_layer": self._vit.num_layers - 1,
            "selected_head": -1,
            "selected_token": 0 if "class" in tokens.prefix else middle,
        }

    def _reset_results(self) -> None:
        self._whole: Trace | None = None
        self._pruned: Trace | None = None
        self._maps: dict[str, NDArray[np.float32]] = {}
        self.decision, self.maps, self.attention_rows = {}, b"", b""

    def _start(self) -> None:
        self.model_info = {
            **results.model_info(self._vit, self._tokens, self._image_name()),
            "set_size": 0 if self._image_set is None else len(self._image_set),
        }
        self.picture = results.picture_bytes(self._vit.picture(self._inputs)[0])
        self._start_trace("looking at the image")

    def _image_name(self) -> str:
        return image_name(self._image)

    @contextmanager
    def _quietly(self) -> Iterator[None]:
        """Set selections in the body without doing what a user's choice would do."""
        before, self._quiet = self._quiet, threading.get_ident()
        try:
            yield
        finally:
            self._quiet = before

    def _is_quiet(self) -> bool:
        return self._quiet == threading.get_ident()  # other threads still choose

    def _selected(self, change: Any) -> None:
        if not self._ready or self._is_quiet():
            return
        name = change["name"]
        if name == "target":
            self._follow_prediction = change["new"] is None
            if self._whole is None or self._whole.target.index != (change["new"],):
                self._start_trace("another class")
        elif name == "pruned_heads":
            self._start_trace("without these heads")
        elif name == "selected_layer":
            self.selected_head = min(self.selected_head, self._vit.num_heads[change["new"]] - 1)
        elif self._whole is None:
            return
        elif name in ("selected_token", "direction"):
            self._do(self._quick, "rows", "", self._rows, self._show_rows)
        elif name == "method":
            self._publish_maps()

    def _do(
        self,
        lane: Lane,
        slot: str,
        label: str,
        work: Callable[[Progress], Any],
        done: Callable[[Any], None],
    ) -> None:
        started, look = time.perf_counter(), self._look

        def finish(result: Any) -> None:
            with self._lock:
                if look == self._look:  # else it is about another model or image
                    self._error = None
                    self._milliseconds = (time.perf_counter() - started) * 1000
                    done(result)

        def failed(error: BaseException) -> None:
            with self._lock:
                if look == self._look:
                    self._failed(error)

        lane.submit(Job(slot, label, work, finish, failed))

    def _start_trace(self, label: str) -> None:
        self._do(self._quick, "trace", label, self._trace, self._traced)

    def _trace(self, progress: Progress) -> tuple[Trace, Trace | None]:
        """The traces that the selections ask for; what is there already is not run again."""
        target = None if self._follow_prediction else self.target
        whole, pruned = self._whole, self._pruned
        if whole is None:
            whole = trace(self._vit, self._inputs, target, progress=progress)
        elif whole.target.index is not None:
            wanted = int(whole.logits.argmax()) if target is None else target
            if whole.target.index != (wanted,):
                whole = whole.retarget(wanted)
        mask = check_heads(self._vit, heads_by_layer(pruned_pairs(self.pruned_heads, self._vit)))
        index = whole.target.index
        if not mask:
            return whole, None
        known = [found for found in (whole, pruned) if found is not None]
        nearest = max(known, key=lambda found: first_difference(found, mask))
        pruned = remask(nearest, mask, progress=progress)  # the layers below need not run again
        return whole, pruned if pruned.target.index == index else pruned.retarget(index)

    def _traced(self, found: tuple[Trace, Trace | None]) -> None:
        self._whole, self._pruned = found
        index = self._whole.target.index
        pruned = [(layer, h) for layer, heads in self._shown().head_mask.items() for h in heads]
        decision = results.decision(*found, index[0], pruned) if index else {}
        rows = self._rows(_no_progress)
        self._show_target()
        self.decision, self.attention_rows, self._maps = decision, rows, {}
        self.version += 1
        self._do(self._long, "maps", "explaining the decision", self._explain, no_result)
        self._study_heads()

    def _chose_target(self, value: Any) -> None:
        if self._ready and not self._is_quiet():
            self._follow_prediction = value is None

    def _show_target(self) -> None:
        """The class that the trace explains; this is no choice of the user's."""
        assert self._whole is not None
        index = self._whole.target.index
        with self._quietly():
            self.target = index[0] if index else None

    def _study_heads(self) -> None:
        """What else follows from a new trace."""

    def _rows(self, _: Progress) -> bytes:
        return results.attention_rows(self._shown(), self.selected_token, self.direction)

    def _show_rows(self, rows: bytes) -> None:
        self.attention_rows = rows

    def _explain(self, progress: Progress) -> None:
        shown = self.trace
        traces = {"": shown} | ({".before": self._whole} if self._pruned is not None else {})
        order = [choice["key"] for choice in self.model_info["methods"]]
        order.sort(key=lambda name: name != self.method)
        maps: dict[str, NDArray[np.float32]] = {}
        refused: VitAttentionError | None = None
        for i, method in enumerate(order):
            for suffix, found in traces.items():
                progress(i / len(order), f"explaining by {results.METHOD_HINTS[method][0]}")
                assert found is not None
                try:
                    values = METHODS[method](found).values[0]
                except VitAttentionError as error:  # the others may still work with this model
                    if method == self.method:
                        refused = error
                    break
                maps[method + suffix] = values.float().cpu().numpy()
            with self._lock:
                if self.trace is shown:  # not replaced by a later one meanwhile
                    self._maps = maps
                    self._publish_maps()
        if refused is not None:
            raise refused

    def _publish_maps(self) -> None:
        maps = self._maps
        if sum(values.nbytes for values in maps.values()) > _MAPS_AT_ONCE:
            maps = {name: v for name, v in maps.items() if name.split(".")[0] == self.method}
        self.maps = encode(maps)

    # How it stands -------------------------------------------------------------------------------

    def _failed(self, error: BaseException) -> None:
        known = isinstance(error, VitAttentionError)
        details = "" if known else "".join(traceback.format_exception(error))
        hint = "" if known else "What was shown before is still there; the details say more."
        if isinstance(error, torch.OutOfMemoryError):
            hint = "The device ran out of memory: try a smaller image, or the CPU."
        self._error = {"message": str(error) or repr(error), "hint": hint, "details": details}
        self._report()

    def _report(self) -> None:
        jobs = [lane.running for lane in self._lanes]
        running = next((job for job in jobs if job is not None and job.label), None)
        self.status = {
            "state": "computing" if running else "error" if self._error else "idle",
            "label": running.label if running else "",
            "progress": running.fraction if running else None,
            "error": self._error,
            "milliseconds": self._milliseconds,
        }


def _no_progress(fraction: float, label: str) -> None:
    return None


def no_result(result: Any) -> None:
    """What a job does whose work shows its own results."""
    return


def image_name(image: Any) -> str:
    """The file name of an image, where it has one."""
    name = getattr(image, "filename", image)
    return (
        str(name).replace("\\", "/").rsplit("/", 1)[-1]
        if isinstance(name, str)
        else (getattr(image, "name", "") or "image")
    )
