"""How faithful the shown maps are: insertion and deletion beside a center and a random map."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import torch

from ...errors import ParameterError
from ...evaluation import BASELINES, Curve, Scores, center, random, scores_of
from ...explainers import Attribution
from ...protocol.schema.results import Areas, ComparedScores, MapScores
from ...support.progress import Progress
from ...targets.target import Target
from ...tracing.layer_record import LayerRecord
from ...tracing.run import trace
from ...tracing.trace import Trace
from ..context import Context
from .compared import Compared
from .comparison import ComparisonStudy
from .maps import LayerMaps, MapsStudy
from .study import Study

__all__ = ["FaithfulnessStudy"]

_SLOT = "faithfulness"
_STEPS = 10
_BASELINES: dict[str, Callable[[Trace], Attribution]] = {"center": center, "random": random}


class FaithfulnessStudy(Study):
    """Insertion and deletion of the maps that are looked at, when asked for.

    The trait ``faithfulness`` goes to the browser: ``asked`` is what is being scored, "" when
    nothing is; ``map`` has the curves of one map, and of the center and a random map beside it;
    ``compared`` has the areas of each compared map and of its baselines, None where not known yet.
    """

    def __init__(self, context: Context, maps: MapsStudy, comparison: ComparisonStudy) -> None:
        self._maps = maps
        self._comparison = comparison
        self._request: object = None  # the latest one
        super().__init__(context)

    def reset(self) -> None:
        self._drop_baselines()
        compared = self._traits.faithfulness.get("compared")
        of_set = self._comparison.compared is not None and self._comparison.kind == "images"
        self._traits.faithfulness = {"compared": compared} if compared and of_set else {}

    def follow_trace(self) -> None:
        self._drop_baselines()

    def _drop_baselines(self) -> None:
        self._baselines_of: tuple[Sequence[LayerRecord] | None, Target | None] = (
            None,
            None,
        )  # layers and target of a trace
        self._baseline_scores: dict[str, Scores] = {}

    def score_map(self) -> None:
        """Score the map that is selected, as it stands after the selected layer.

        Raises
        ------
        ParameterError
            If nothing is explained.
        """
        self._check_explains()
        context, traits = self._context, self._traits
        method, layer = traits.method, traits.selected_layer

        def work(progress: Progress) -> None:
            with context.lock:
                shown, version = context.shown(), traits._version
            values = self._maps.of(shown, method, progress)[layer]
            scores = self._scores(shown, values, BASELINES, progress, (0.0, 1.0))
            scored: MapScores = {
                "method": method,
                "layer": layer,
                "target": shown.target.name,
                "by_class": shown.target.index is not None and shown.model.output != "value",
                "version": version,
                "areas": {name: _areas(score) for name, score in scores.items()},
                "fractions": _rounded(scores["map"].insertion.fractions.tolist()),
                "insertion": {name: _curve(score.insertion) for name, score in scores.items()},
                "deletion": {name: _curve(score.deletion) for name, score in scores.items()},
            }
            with context.lock:
                if context.trace is shown:
                    traits.faithfulness = {**traits.faithfulness, "map": scored}

        self._start("map", "scoring the map", work)

    def score_compared(self) -> None:
        """Score every map of the comparison, as they come.

        Raises
        ------
        ParameterError
            If nothing was compared yet, or nothing is explained.
        """
        self._check_explains()
        context, traits, study = self._context, self._traits, self._comparison
        compared, kind, stamp = study.compared, study.kind, study.stamp
        if compared is None:
            raise ParameterError("No maps were compared yet: compare_maps() comes first.")
        if kind == "models":
            raise ParameterError("Scores of different models do not compare: choose methods, ...")
        if kind == "images" and not context.vit.has_classes:
            raise ParameterError("Images are scored by their classes, but there are none.")
        if kind != "images" and compared.trace is None:
            raise ParameterError("The compared maps are of an earlier trace: compare again.")
        maps = compared.comparison.values.numpy()
        # Only methods and layers share the other baselines; else they differ from map to map.
        baselines = BASELINES if kind in ("methods", "layers") else BASELINES[:1]

        def work(progress: Progress) -> None:
            areas: list[dict[str, Areas] | None] = [None] * len(maps)
            for i, values in enumerate(maps):
                share = i / len(maps), (i + 1) / len(maps)
                of_map = self._trace_of(compared, kind, i)
                scores = self._scores(of_map, values, baselines, progress, share)
                areas[i] = {name: _areas(score) for name, score in scores.items()}
                with context.lock:
                    if study.compared is not compared:
                        return
                    scored: ComparedScores = {"stamp": stamp, "areas": list(areas)}
                    traits.faithfulness = {**traits.faithfulness, "compared": scored}

        self._start("compared", "scoring the maps", work)

    def cancel(self) -> None:
        """Stop scoring; what was scored stays."""
        self._context.lanes.longest.cancel(_SLOT)

    def _check_explains(self) -> None:
        if not self._context.explains:
            raise ParameterError(
                f"{self._context.vit.name} has no classes: a map is scored by what becomes of the "
                "probability of a class, or of another target; see explain()."
            )

    def _start(
        self, what: Literal["map", "compared"], label: str, work: Callable[[Progress], None]
    ) -> None:
        context, traits, request = self._context, self._traits, object()
        with context.lock:
            self._request = request
            traits.faithfulness = {**traits.faithfulness, "asked": what}

        def run(progress: Progress) -> None:
            context.wait_for_trace()
            work(progress)

        def close(_: object = None) -> None:
            if self._request is request:
                self._request = None
                traits.faithfulness = {**traits.faithfulness, "asked": ""}

        context.do(
            context.lanes.longest, _SLOT, label, run, close,
            still=lambda: self._request is request, dropped=close,
            go_on=lambda: self._start(what, label, work),
        )  # fmt: skip

    def _trace_of(self, compared: Compared, kind: str, item: int) -> Trace:
        """What a compared map is of: the image as it is shown, or one of the set."""
        if compared.trace is None:
            assert compared.set_key is not None
            vit, images, _, masked = compared.set_key
            image, label = images.entries[item]
            return trace(vit, image, label, head_mask=masked, gradients=False)
        key, shown = compared.keys[item], compared.trace
        same = kind != "classes" or shown.target.index == (key,)
        return shown if same else shown.retarget(key)

    def _scores(
        self,
        shown: Trace,
        values: LayerMaps,
        baselines: Sequence[str],
        progress: Progress,
        share: tuple[float, float],
    ) -> dict[str, Scores]:
        """Scores of a map [row, col] and of the baselines, which are kept for the next map."""
        of = shown.layers, shown.target
        if not all(a is b for a, b in zip(of, self._baselines_of, strict=True)):
            self._baselines_of, self._baseline_scores = of, {}
        scored = self._baseline_scores
        maps = {"map": Attribution(torch.from_numpy(values)[None, None], "", "")}
        maps |= {name: _BASELINES[name](shown) for name in baselines if name not in scored}
        low, high = share
        scores = {}
        for i, (name, attribution) in enumerate(maps.items()):

            def step(fraction: float, label: str, i: int = i) -> None:
                progress(low + (high - low) * (i + fraction) / len(maps), "scoring maps")

            scores[name] = scores_of(shown, attribution, steps=_STEPS, progress=step)
        scored.update({name: score for name, score in scores.items() if name != "map"})
        return {"map": scores["map"], **{name: scored[name] for name in baselines}}


def _areas(scores: Scores) -> Areas:
    return round(float(scores.insertion.area[0]), 4), round(float(scores.deletion.area[0]), 4)


def _curve(curve: Curve) -> list[float]:
    return _rounded(curve.values[0].tolist())


def _rounded(values: Sequence[float]) -> list[float]:
    return [round(value, 4) for value in values]
