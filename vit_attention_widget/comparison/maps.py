"""Maps as they are made: those of one trace, and the comparison of those that there are."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace

from torch import Tensor

from ..errors import ParameterError
from ..models.map_area import WHOLE, Area
from ..results.storage import JsonObject
from .grid import are_alike, on_finest_grid
from .result import Comparison, MapOf

__all__ = ["Maps", "joined", "parts_of"]


@dataclass(frozen=True, eq=False)
class Maps:
    """Maps of the images of one trace.

    Attributes
    ----------
    items : tuple of MapOf
        In the order in which they are made: target, method, image, layer.
    maps : tuple of Tensor
        [row, col] each, float32, on the patches of the model itself.
    skipped : mapping
        Methods that do not work with the model, with the reason; they have no maps.
    count : int
        Number of images.
    complete : bool
        Whether all maps of these images are here.
    area : tuple of float
        Where the patches lie on the picture, see :class:`.Attribution`.
    """

    items: tuple[MapOf, ...]
    maps: tuple[Tensor, ...]
    skipped: Mapping[str, str]
    count: int
    complete: bool = False
    area: Area = WHOLE

    def __len__(self) -> int:
        return self.count

    def without(self, methods: Collection[str]) -> Maps:
        """The same without the maps of some methods."""
        pairs = [(i, m) for i, m in zip(self.items, self.maps, strict=True)]
        kept = [pair for pair in pairs if pair[0].method not in methods]
        return replace(self, items=tuple(i for i, _ in kept), maps=tuple(m for _, m in kept))

    def _to_parts(self) -> tuple[dict[str, Tensor], JsonObject]:
        tensors = {str(number): values for number, values in enumerate(self.maps)}
        about = {
            "items": [asdict(item) for item in self.items],
            "skipped": dict(self.skipped),
            "count": self.count,
            "complete": self.complete,
            "area": list(self.area),
        }
        return tensors, about

    @classmethod
    def _from_parts(cls, tensors: dict[str, Tensor], about: JsonObject) -> Maps:
        items = tuple(MapOf(**item) for item in about["items"])
        maps = tuple(tensors[str(number)] for number in range(len(items)))
        top, left, bottom, right = map(float, about.get("area", WHOLE))
        count, complete = int(about["count"]), bool(about["complete"])
        return cls(items, maps, about["skipped"], count, complete, (top, left, bottom, right))


def joined(parts: Sequence[Maps], methods: Sequence[str], by_method: int) -> Comparison:
    """The comparison of all maps that there are.

    Parameters
    ----------
    parts : sequence of Maps
    methods : sequence of str
        Those that were asked for.
    by_method : int
        How many maps there are to be by each.
    """
    skipped = {method: why for part in parts for method, why in part.skipped.items()}
    computed = [part.without(skipped) for part in parts]
    triples = [
        (item, values, part.area)
        for part in computed
        for item, values in zip(part.items, part.maps, strict=True)
    ]
    triples.sort(key=lambda triple: triple[0].image)  # models come one after another
    maps, areas = [values for _, values, _ in triples], [area for _, _, area in triples]
    on_one_grid = on_finest_grid(maps, areas)
    comparison = Comparison.of(on_one_grid, [item for item, _, _ in triples], skipped)
    total = by_method * sum(method not in skipped for method in methods)
    return replace(
        comparison,
        on_own_grid=() if are_alike(maps, areas) else tuple(maps),
        areas=tuple(areas),
        total=total,
        ongoing=len(maps) < total,
    )


def parts_of(
    start: Comparison | None,
    images: Mapping[str, tuple[int, int]],
    layers: Collection[int],
    methods: Collection[str],
    targets: int,
) -> list[Maps]:
    """What ``start`` holds, in parts of which only the last may be incomplete.

    Parameters
    ----------
    start : Comparison or None
    images : mapping
        By the name of the model: how many images there are, and how many are traced together.
    layers : collection of int
        Those that were asked for, of any of the models.
    methods : collection of str
    targets : int
        How many there are.

    Raises
    ------
    ParameterError
        If it is no comparison, or one of other models, methods or layers.
    """
    if start is None:
        return []
    if not isinstance(start, Comparison):
        raise ParameterError(f"start is a {type(start).__name__}, not a Comparison.")
    for name, asked in (("model", images), ("method", methods), ("layer", layers)):
        for value in (getattr(item, name) for item in start.items):
            if value not in asked:
                raise ParameterError(
                    f"start has maps of {name} {value!r}, which was not asked for: go on with the "
                    f"same {name}s."
                )
    by_trace: dict[tuple[str, int], list[int]] = {}
    for number, item in enumerate(start.items):
        together = images[item.model][1]
        by_trace.setdefault((item.model, item.image // together), []).append(number)
    maps = start.on_own_grid or tuple(start.values)
    areas = start.areas or (WHOLE,) * len(maps)
    of_a_trace = targets * len({item.layer for item in start.items})
    of_a_trace *= sum(method not in start.skipped for method in methods)
    parts: list[Maps] = []
    for name, (count, together) in images.items():
        for index in range(-(-count // together)):
            numbers = by_trace.get((name, index), [])
            if not numbers:
                return parts
            items = tuple(start.items[number] for number in numbers)
            complete = len(numbers) == of_a_trace * together
            some = tuple(maps[number] for number in numbers)
            area = areas[numbers[0]]  # of one model, and images of one size
            parts.append(Maps(items, some, start.skipped, together, complete, area))
            if not complete:
                return parts
    return parts
