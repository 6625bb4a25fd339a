"""What the model would decide after each layer, and each patch in it."""

from __future__ import annotations

import torch
from torch import Tensor

from ...errors import UnsupportedModelError
from ...lens.result import LogitLens
from ...lens.run import logit_lens
from ...protocol.schema.binary import Float32
from ...protocol.schema.tensors import LayerDecisionsMetadata, LayerDecisionsTensors
from ...protocol.tensors import encode
from ...support.progress import Progress
from ...tracing.trace import Trace
from .study import Study

__all__ = ["LAYER_DECISIONS_SLOT", "LayerDecisionsStudy"]

LAYER_DECISIONS_SLOT = "layer decisions"

_LINES, _LIKELY = 6, 3
"""Classes that are followed through the layers; of these the likeliest after the last one."""

_RANKS = 3
"""Classes that are told of each layer and patch."""


class LayerDecisionsStudy(Study):
    """The logit lens on the image as it is shown, when asked for; before and after pruning.

    The trait ``_layer_decisions`` goes to the browser; a model whose norm and head do not read out
    single layers or tokens is refused there, in a sentence.
    """

    def reset(self) -> None:
        self.lens: LogitLens | None = None
        self._traits._layer_decisions = b""

    def measure(self) -> None:
        """Read out every layer of the image as it is shown."""
        context, traits = self._context, self._traits

        def work(progress: Progress) -> tuple[Trace, LogitLens | None, bytes]:
            with context.lock:
                shown, whole, version = context.shown(), context.whole, traits._version
            before = whole if shown is not whole else None
            lens, payload = _read_out(shown, before, version, progress)
            return shown, lens, payload

        def show(result: tuple[Trace, LogitLens | None, bytes]) -> None:
            shown, lens, payload = result
            if context.trace is shown:
                self.lens, traits._layer_decisions = lens, payload

        context.do(context.lanes.quick, LAYER_DECISIONS_SLOT, "reading out every layer", work, show)


def _read_out(
    shown: Trace, before: Trace | None, version: int, progress: Progress
) -> tuple[LogitLens | None, bytes]:
    metadata: LayerDecisionsMetadata = {
        "version": version,
        "target": shown.target.index[0] if shown.target.index else -1,
        "target_name": shown.target.name,
        "refused": "",
        "patches_refused": "",
    }
    progress(0, "reading out every layer")
    try:
        lens, metadata["patches_refused"] = _lens(shown)
        now = lens.decisions[0]
        was = None if before is None else logit_lens(before, tokens=False).decisions[0]
    except UnsupportedModelError as error:
        return None, encode({}, {**metadata, "refused": str(error)})
    classes = _followed(now, was, shown.target.index)
    best = now.topk(min(_RANKS, now.shape[1]))
    tensors: LayerDecisionsTensors = {
        "classes": _array(torch.tensor(classes)),
        "lines": _array(now[:, classes].T),
        "best": _array(best.values),
        "best_classes": _array(best.indices),
    }
    if was is not None:
        tensors["lines_before"] = _array(was[:, classes].T)
    if not metadata["patches_refused"]:
        tensors["patch_target"] = _array(lens.patches[0])
        tensors["patch_values"] = _patches(lens, lens.values)
        tensors["patch_classes"] = _patches(lens, lens.classes)
    return lens, encode(tensors, metadata)


def _lens(trace: Trace) -> tuple[LogitLens, str]:
    """What layers and patches decide, or layers alone and why patches cannot be read out."""
    try:
        return logit_lens(trace, k=_RANKS), ""
    except UnsupportedModelError as error:
        return logit_lens(trace, k=_RANKS, tokens=False), str(error)


def _followed(now: Tensor, was: Tensor | None, target: tuple[int, ...] | None) -> list[int]:
    """What is explained, the likeliest classes, and those that are likely after some layer."""
    likely = now[-1].topk(min(_LIKELY, now.shape[1])).indices.tolist()
    decided = [] if was is None else [int(was[-1].argmax())]
    most = now.amax(0) if was is None else torch.maximum(now, was).amax(0)
    at_times = most.topk(min(_LINES, len(most))).indices.tolist()
    ordered = dict.fromkeys([likely[0], *(target or ()), *decided, *likely, *at_times])
    return list(ordered)[:_LINES]


def _patches(lens: LogitLens, values: Tensor) -> Float32:
    """Of values [image, layer, token, rank] those of the patches, [layer, row, col, rank]."""
    rows, cols = lens.grid
    return _array(values[0, :, -rows * cols :].unflatten(1, (rows, cols)))


def _array(values: Tensor) -> Float32:
    array: Float32 = values.float().cpu().numpy()
    return array
