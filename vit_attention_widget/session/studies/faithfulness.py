"""What a session finds out about how faithful the maps are that it shows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ...errors import ParameterError
from ...evaluation import BASELINES, Scores, centre, random, scores_of
from ...explainers import Attribution
from ...support.progress import Progress
from ...tracing.run import trace
from ...tracing.trace import Trace
from ..lanes import Job
from .comparison import CompareStudy
from .comparison_payload import Found

__all__ = ["FaithfulnessStudy"]

_SLOT = "faithfulness"
_STEPS = 10
_BASELINES: dict[str, Callable[[Trace], Attribution]] = {"centre": centre, "random": random}

Pair = list[float]
"""Areas of insertion and deletion."""


class FaithfulnessStudy(CompareStudy):
    """Insertion and deletion of the maps that are looked at, when asked for.

    Attributes
    ----------
    faithfulness : dict
        What goes to the browser. ``asked`` is what is being scored, "" when nothing is. ``map`` has
        the curves of one map and of the centre and a random map beside it; ``compared`` has the
        areas of each compared map and of what stands beside it, None where not known yet.
    """

    _scoring: object = None  # the latest request
    _baselines_of: tuple[Any, Any] = (None, None)
    _baseline_scores: dict[str, Scores]

    def _study_heads(self) -> None:
        super()._study_heads()
        self._baselines_of, self._baseline_scores = (None, None), {}

    def _reset_results(self) -> None:
        super()._reset_results()
        self._baselines_of, self._baseline_scores = (None, None), {}
        compared = self.faithfulness.get("compared")
        of_set = compared is not None and self._found is not None and self._found_of == "images"
        self.faithfulness = {"compared": compared} if of_set else {}

    def score_map(self) -> None:
        """Score the map that is selected, as it stands after the selected layer.

        See ``faithfulness``: 10 steps of insertion and 10 of deletion.

        Raises
        ------
        ParameterError
            If nothing is explained.
        """
        self._check_explains()
        method, layer = self.method, self.selected_layer

        def work(progress: Progress) -> None:
            shown, version = self._now()
            values = self._layers_of(shown, method, progress)[layer]
            scores = self._scores(shown, values, BASELINES, progress, (0.0, 1.0))
            found = {
                "method": method,
                "layer": layer,
                "target": shown.target.name,
                "by_class": shown.target.index is not None,
                "version": version,
                "areas": {name: _areas(score) for name, score in scores.items()},
                **_curves(scores),
            }
            with self._lock:
                if self.trace is shown:
                    self.faithfulness = {**self.faithfulness, "map": found}

        self._score("map", "scoring the map", work)

    def score_compared(self) -> None:
        """Score every map of the comparison, as they come; see ``faithfulness``.

        Raises
        ------
        ParameterError
            If nothing was compared yet, or nothing is explained.
        """
        self._check_explains()
        found, stamp = self._found, self._stamp
        if found is None:
            raise ParameterError("No maps were compared yet: compare_maps() comes first.")
        of, maps = self._found_of, found.comparison.maps
        if of == "models":
            raise ParameterError("Scores of different models do not compare: choose methods, ...")
        if of == "images" and not self._vit.num_classes:
            raise ParameterError("Images are scored by their classes, but there are none.")
        if of != "images" and found.shown is None:
            raise ParameterError("The compared maps are of an earlier trace: compare again.")
        alike = of in ("methods", "layers")
        baselines = BASELINES if alike else BASELINES[:1]  # else they are others for every map

        def work(progress: Progress) -> None:
            areas: list[dict[str, Pair] | None] = [None] * len(maps)
            for i, values in enumerate(maps):
                share = i / len(maps), (i + 1) / len(maps)
                shown = self._trace_of(found, of, i)
                scores = self._scores(shown, values, baselines, progress, share)
                areas[i] = {name: _areas(score) for name, score in scores.items()}
                with self._lock:
                    if self._found is not found:
                        return
                    compared = {"stamp": stamp, "areas": list(areas)}
                    self.faithfulness = {**self.faithfulness, "compared": compared}

        self._score("compared", "scoring the maps", work)

    def _check_explains(self) -> None:
        if not self._explains:
            raise ParameterError(
                f"{self._vit.name} has no classes: a map is scored by what becomes of the "
                "probability of a class, or of another target; see explain()."
            )

    def _score(self, what: str, label: str, work: Callable[[Progress], None]) -> None:
        request = object()
        with self._lock:
            self._scoring = request
            self.faithfulness = {**self.faithfulness, "asked": what}

        def run(progress: Progress) -> None:
            self._quick.wait()  # it is about what the trace will find
            work(progress)

        def over(*_: Any) -> None:
            with self._lock:
                if self._scoring is request:
                    self._scoring = None
                    self.faithfulness = {**self.faithfulness, "asked": ""}

        def failed(error: BaseException) -> None:
            over()
            with self._lock:
                self._failed(error)

        self._longest.submit(Job(_SLOT, label, run, over, failed, over))

    def cancel_scores(self) -> None:
        """Stop scoring; what was scored stays."""
        self._longest.cancel(_SLOT)

    def _trace_of(self, found: Found, of: str, item: int) -> Trace:
        """What a compared map is of: the image as it is shown, or one of the set."""
        if found.shown is None:
            assert found.of_set is not None
            image, label = (self._image_set or [])[item]
            mask = found.of_set[-1]
            return trace(self._vit, image, label, head_mask=mask, gradients=False)
        index = found.keys[item]
        same = of != "classes" or found.shown.target.index == (index,)
        return found.shown if same else found.shown.retarget(index)

    def _scores(
        self,
        shown: Trace,
        values: NDArray[np.float32],
        baselines: Sequence[str],
        progress: Progress,
        share: tuple[float, float],
    ) -> dict[str, Scores]:
        """Scores of a map [row, col] and of the baselines, which are kept for the next map."""
        of = shown.layers, shown.target
        if not all(a is b for a, b in zip(of, self._baselines_of, strict=True)):
            self._baselines_of, self._baseline_scores = of, {}
        known = self._baseline_scores
        maps = {"map": Attribution(torch.from_numpy(values)[None, None], "", "")}
        maps |= {name: _BASELINES[name](shown) for name in baselines if name not in known}
        low, high = share
        found = {}
        for i, (name, attribution) in enumerate(maps.items()):

            def step(fraction: float, label: str, i: int = i) -> None:
                progress(low + (high - low) * (i + fraction) / len(maps), "scoring maps")

            found[name] = scores_of(shown, attribution, steps=_STEPS, progress=step)
        known.update({name: score for name, score in found.items() if name != "map"})
        return {"map": found["map"], **{name: known[name] for name in baselines}}


def _areas(scores: Scores) -> Pair:
    return _rounded([float(scores.insertion.area[0]), float(scores.deletion.area[0])])


def _curves(scores: dict[str, Scores]) -> dict[str, Any]:
    return {
        "fractions": _rounded(scores["map"].insertion.fractions.tolist()),
        "insertion": {name: _rounded(s.insertion.values[0].tolist()) for name, s in scores.items()},
        "deletion": {name: _rounded(s.deletion.values[0].tolist()) for name, s in scores.items()},
    }


def _rounded(values: Sequence[float]) -> list[float]:
    return [round(value, 4) for value in values]
