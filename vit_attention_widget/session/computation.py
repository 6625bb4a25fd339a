"""How a session computes what its selections ask for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from ..errors import ProtocolError, TargetError, VitAttentionError
from ..explainers import METHODS
from ..importance.metrics import Metric
from ..models import VisionTransformer, describe
from ..models.head_index import check_heads, head_pairs
from ..protocol.tensors import encode
from ..support.progress import Progress, no_progress
from ..tracing.run import first_difference, remask, trace
from ..tracing.trace import Trace
from . import payloads as results
from .traits import SELECTIONS
from .work import Work, no_result

__all__ = ["Computation", "image_name"]

_MAPS_AT_ONCE = 400_000
"""Bytes of maps that are sent together; above it only the selected method's."""


@dataclass(frozen=True)
class Traced:
    """Traces of the whole model and of the pruned one, and the target if it is not a class.

    ``followed`` is whether it is of the predicted class, whichever that is; ``refused`` is why a
    target that was asked for could not be explained.
    """

    whole: Trace
    pruned: Trace | None
    own: Any
    followed: bool
    refused: TargetError | None


class Computation(Work):
    """Selections, and the results that follow from them.

    A trace comes first; maps, and what is known of heads, are computed from it.
    """

    _ready = False
    _models: Mapping[str, VisionTransformer]

    def _prepare(self) -> None:
        self._prepare_lanes()
        self._follow_prediction = True
        self._own_target: Any = None  # what is explained, where it is not a class
        self._traced_followed = True
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
            "method": "daam" if self._explains else "rollout",
            "selected_layer": self._vit.num_layers - 1,
            "selected_head": -1,
            "selected_token": 0 if "class" in tokens.prefix else middle,
        }

    def _reset_results(self) -> None:
        self._whole: Trace | None = None
        self._pruned: Trace | None = None
        self._traced_own = None
        self._maps_by_method: dict[str, NDArray[np.float32]] = {}
        self.decision, self._maps, self._attention_rows = {}, b"", b""

    @property
    def _explains(self) -> bool:
        return self._vit.num_classes > 0 or self._own_target is not None

    def _describe(self) -> None:
        by_class = self._vit.num_classes > 0 and self._own_target is None
        name = self._image_name()
        self._model_info = {
            **results.model_info(self._vit, self._tokens, name, self._explains, by_class),
            "set_size": 0 if self._image_set is None else len(self._image_set),
            "other_models": list(self._models),
        }
        with self._quietly():
            if not self._explains and self.method not in results.CLASSLESS:
                self.method = "rollout"
            if self.metric not in self._metrics:
                self.metric = self._metrics[0]

    @property
    def _metrics(self) -> list[Metric]:
        """Metrics of head importance that there are for what is explained."""
        return [choice["key"] for choice in self._model_info["metrics"]]

    def _start(self) -> None:
        self._describe()
        self._picture = results.picture_bytes(self._vit.picture(self._inputs)[0])
        self._start_trace("looking at the image")

    def _image_name(self) -> str:
        return image_name(self._image)

    def _selected(self, change: Any) -> None:
        if not self._ready or self._is_quiet():
            return
        name = change["name"]
        if name == "target":
            self._aim_at_class(change["new"])
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

    def _start_trace(self, label: str) -> None:
        self._do(self._quick, "trace", label, self._trace, self._traced)

    def _trace(self, progress: Progress) -> Traced:
        """The traces that the selections ask for; what is there already is not run again."""
        own, followed, refused = self._own_target, self._follow_prediction, None
        try:
            whole = self._aimed(own, progress)
        except TargetError as error:
            if own is None:
                raise
            own, refused = None, error  # it could not be known before the image was looked at
            whole = self._aimed(None, progress)
        mask = check_heads(self._vit, self.pruned_heads)
        if not mask:
            return Traced(whole, None, own, followed, refused)
        known = [found for found in (whole, self._pruned) if found is not None]
        nearest = max(known, key=lambda found: first_difference(found, mask))
        pruned = remask(nearest, mask, progress=progress)  # the layers below need not run again
        index = whole.target.index
        same = pruned.target.index == index if index else pruned.target is whole.target
        aimed = pruned if same else pruned.retarget(whole.target)
        return Traced(whole, aimed, own, followed, refused)

    def _aimed(self, own: Any, progress: Progress) -> Trace:
        """A trace of the whole model for what is to be explained: this, or a class."""
        whole = self._whole
        target = own if own is not None or self._follow_prediction else self.target
        if whole is None:
            return trace(self._vit, self._inputs, target, progress=progress)
        if own is not None or self._traced_own is not None:
            return whole if own is self._traced_own else whole.retarget(target)
        if whole.target.index is None:
            return whole
        wanted = int(whole.logits.argmax()) if target is None else target
        return whole if whole.target.index == (wanted,) else whole.retarget(wanted)

    def _traced(self, found: Traced) -> None:
        self._whole, self._pruned = found.whole, found.pruned
        self._traced_own, self._traced_followed = found.own, found.followed
        if found.refused is not None:
            self._own_target = None
            self._describe()
        pruned = head_pairs(self._shown().head_mask)
        decision = results.decision(found.whole, found.pruned, pruned) if self._explains else {}
        rows = self._rows(no_progress)
        self._show_target()
        self.decision, self._attention_rows, self._maps_by_method = decision, rows, {}
        self._version += 1
        self._do(self._long, "maps", "explaining the decision", self._explain, no_result)
        self._study_heads()
        if found.refused is not None:
            self._failed(found.refused)

    def _chose_target(self, value: Any) -> None:
        if self._ready and not self._is_quiet() and self._aim_at_class(value):
            self._start_trace("another class")  # the class that was selected all along

    def _aim_at_class(self, value: Any) -> bool:
        """Explain a class from now on; whether another target was explained until now."""
        self._follow_prediction, own = value is None, self._own_target
        if own is not None:
            self._own_target = None
            self._describe()
        return own is not None

    def _explain_other(self, target: Any) -> None:
        self._own_target = target
        self._describe()
        self._start_trace("another target")

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
        self._attention_rows = rows

    def _explain(self, progress: Progress) -> None:
        shown = self.trace
        traces = {"": shown} | ({".before": self._whole} if self._pruned is not None else {})
        order = [choice["key"] for choice in self._model_info["methods"]]
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
                    self._maps_by_method = maps
                    self._publish_maps()
        if refused is not None:
            raise refused

    def _publish_maps(self) -> None:
        maps = self._maps_by_method
        if sum(values.nbytes for values in maps.values()) > _MAPS_AT_ONCE:
            maps = {name: v for name, v in maps.items() if name.split(".")[0] == self.method}
        self._maps = encode(maps)


def image_name(image: Any) -> str:
    """The file name of an image, where it has one."""
    name = getattr(image, "filename", image)
    return (
        str(name).replace("\\", "/").rsplit("/", 1)[-1]
        if isinstance(name, str)
        else (getattr(image, "name", "") or "image")
    )
