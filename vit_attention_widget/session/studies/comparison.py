"""How far maps agree: of several methods, classes, layers, images or models."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ...errors import ParameterError
from ...explainers.by_name import explainers_by_name
from ...models import VisionTransformer
from ...models.classes import class_index
from ...protocol.schema.results import Compared as Kind
from ...protocol.schema.results import Comparison, ComparisonRequest
from ...support.progress import Progress, no_progress
from ..context import Context
from .compared import KINDS, Compared, Request
from .comparison_kinds import ComparisonKinds
from .comparison_payload import maps_payload, payload
from .maps import MapsStudy
from .study import Study

__all__ = ["COMPARE_IMAGES_SLOT", "MOST_CLASSES", "ComparisonStudy"]

COMPARE_SLOT = "compare"
COMPARE_IMAGES_SLOT = "compare images"
"""Work on the set, which goes on while other images are looked at."""

MOST_CLASSES = 12
"""Classes that a user may add to the likely ones."""


class ComparisonStudy(Study):
    """Maps beside each other, when asked for.

    Attributes
    ----------
    compared : Compared or None
        What was compared last.
    kind : str
        In what its maps differ.
    stamp : int
        Maps, and what is said of them, come in two messages: which belong together.
    """

    def __init__(self, context: Context, maps: MapsStudy) -> None:
        self.compared: Compared | None = None
        self.kind = ""
        self.stamp = 0
        self._kinds = ComparisonKinds(context, maps)
        self._request: Request | None = None
        self._vit: VisionTransformer | None = None  # the one that was compared
        super().__init__(context)

    def reset(self) -> None:
        self._kinds.drop_other_traces(None)
        comparison: Comparison | ComparisonRequest = self._traits._comparison
        if not comparison:
            return
        other_model = self._vit is None or not self._context.is_about(self._vit)
        if other_model or self.compared is None or self.compared.set_key is None:
            self.compared, self._traits._comparison_maps = None, b""
            comparison = {
                "of": comparison["of"],
                "method": comparison["method"],
                "classes": comparison["classes"],
                "asked": comparison["asked"],
            }
        self._traits._comparison = {**comparison, "classes": []} if other_model else comparison

    def follow_trace(self) -> None:
        shown, compared = self._context.trace, self.compared
        self._kinds.drop_other_traces(shown)
        if compared and compared.trace is not None and compared.trace is not shown:
            self.compared = replace(compared, trace=None)  # which would keep all of an old trace

    def compare(
        self, kind: Kind, method: str | None = None, classes: Sequence[int | str] | None = None
    ) -> None:
        """Compare maps of the image as it is shown; see ``Session.compare_maps``.

        Raises
        ------
        ParameterError, TargetError
            If there is no such thing to compare.
        """
        context, traits = self._context, self._traits
        request = self._checked(kind, method, classes)
        with context.lock:
            now = traits._comparison
            if kind == "images" and self._request and _same_set(self._request, request):
                return  # it is being done: only the trace has changed
            if kind == "images" and self.compared and _same_set(self.compared, request):
                self._request = None  # it is there
                traits._comparison = {**now, "asked": "", "version": traits._version}
                return
            self._request, self._vit = request, context.vit
            asked: ComparisonRequest = {
                "of": kind,
                "method": request.method,
                "classes": list(request.classes),
                "asked": kind,
            }
            traits._comparison = {**asked, **now, "asked": kind, "classes": asked["classes"]}
        slots = COMPARE_SLOT, COMPARE_IMAGES_SLOT
        slot, other = slots[::-1] if kind == "images" else slots
        context.lanes.longest.cancel(other)
        self._start(slot, request)

    def traits_of(self, kind: Kind) -> dict[str, object]:
        """What the browser would be told of a comparison, which is made now and shown to nobody.

        Raises
        ------
        ParameterError, TargetError, UnsupportedModelError, CaptureError
            If there is no such thing to compare.
        """
        request = self._checked(kind, None, None)
        compared = self._kinds.work_of(kind)(request, no_progress)
        self.stamp += 1
        said = payload(request, compared, len(compared.comparison), self.stamp)
        maps = maps_payload(compared.comparison.values.numpy(), self.stamp)
        return {"_comparison_maps": maps, "_comparison": said}

    def _checked(
        self, kind: Kind, method: str | None, classes: Sequence[int | str] | None
    ) -> Request:
        context = self._context
        vit = context.vit
        if kind not in KINDS:
            raise ParameterError(f"of is {kind!r}: choose one of {', '.join(KINDS)}.")
        method = self._traits.method if method is None else method
        explainers_by_name(method)
        if kind == "models" and not context.other_models:
            raise ParameterError("There are no other models: give the session models={name: ...}.")
        if kind == "classes" and not vit.has_classes:
            raise ParameterError(f"{vit.name} has no classes that could be compared.")
        added = list(dict.fromkeys(class_index(c, vit) for c in classes or ()))
        if len(added) > MOST_CLASSES:
            raise ParameterError(f"{len(added)} classes are too many: at most {MOST_CLASSES}.")
        set_key = None
        if kind == "images":
            set_key = vit, context.images(), method, tuple(self._traits.pruned_heads)
        return Request(kind, method, tuple(added), set_key)

    def _start(self, slot: str, request: Request) -> None:
        context = self._context
        vit, images, work = context.vit, context.image_set, self._kinds.work_of(request.kind)

        def run(progress: Progress) -> Compared:
            context.wait_for_trace()
            return work(request, progress)

        def still() -> bool:
            same = context.is_about(vit) and context.image_set is images
            return same and self._request is request

        def close() -> None:
            if self._request is request:
                self._request = None
                self._traits._comparison = {**self._traits._comparison, "asked": ""}

        def done(compared: Compared) -> None:
            close()
            if compared.trace is None or compared.trace is context.trace:
                self._show(request, compared)  # else who looks at it asks again

        def again() -> None:
            self.compare(request.kind, request.method, request.classes)

        context.do(
            context.lanes.longest, slot, "comparing maps", run, done,
            still=still, dropped=close, go_on=again,
        )  # fmt: skip

    def _show(self, request: Request, compared: Compared) -> None:
        self.compared, self.kind = compared, request.kind
        self.stamp += 1
        images = self._context.image_set
        total = len(compared.comparison)
        if request.kind == "images" and images is not None:
            total = len(images)
        self._traits._comparison_maps = maps_payload(compared.comparison.values.numpy(), self.stamp)
        self._traits._comparison = payload(request, compared, total, self.stamp)


def _same_set(one: Request | Compared, other: Request) -> bool:
    """Whether both are of the same model, images, method and pruned heads."""
    return one.set_key is not None and one.set_key == other.set_key
