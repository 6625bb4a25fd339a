"""Strength of attention by distance, for every head."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, get_args

from torch import Tensor

from ..errors import ParameterError
from ..results.heat_map import heat_map
from ..results.html import block
from ..results.named_values import NamedValues, Variable
from ..results.rows import rows_of
from ..results.storage import JsonObject
from ..results.unfinished import Unfinished, extent_from, skipped_from

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["AttentionStrength", "HeadQuantity"]

HeadQuantity = Literal[
    "entropy", "distance", "class_to_class", "class_to_patches", "patches_to_class"
]


@dataclass(frozen=True, eq=False)
class AttentionStrength(Unfinished, NamedValues):
    """Strength of attention by distance, for every head; NaN where a layer has fewer heads.

    Attributes
    ----------
    profile : Tensor
        [image, layer, head, hop]: mean attention over all ordered pairs of patches that are so
        many hops apart (Chebyshev distance on the grid; hop 0 is the patch itself). Also
        ``.values``.
    entropy : Tensor
        [image, layer, head], of the profile scaled to sum to 1, in nats; at most ln(hops).
    distance : Tensor
        [image, layer, head], mean attention distance between patches in pixels.
    class_to_class, class_to_patches, patches_to_class : Tensor or None
        [image, layer, head], shares of attention in [0, 1]: of the class token to itself, to all
        patches, and of the mean patch to the class token. None without a class token.
    pairs : Tensor
        [hop], ordered pairs of patches at each hop.
    error : Exception or None
        What ended the computation early; the images before are here.
    total : int or None
        Number of images that were to be measured, where that is known.
    skipped : mapping of int to str
        Why an image of the set is not among these, by its number in the set: see ``on_error``.
    complete : bool
        Whether all images are here; :attr:`how_far` says how many are.
    """

    kind = "attention strength"
    axes = ("image", "layer", "head", "hop")
    table_axes = ("image", "layer", "head")

    profile: Tensor = field(repr=False)
    entropy: Tensor = field(repr=False)
    distance: Tensor = field(repr=False)
    class_to_class: Tensor | None = field(repr=False)
    class_to_patches: Tensor | None = field(repr=False)
    patches_to_class: Tensor | None = field(repr=False)
    pairs: Tensor = field(repr=False)
    error: Exception | None = None
    total: int | None = None
    ongoing: bool = False
    skipped: Mapping[int, str] = field(default_factory=dict)

    def __len__(self) -> int:
        """Number of images."""
        return len(self.profile)

    def __repr__(self) -> str:
        return f"<{self._title()}{self._shortfall()}>"

    @property
    def done(self) -> int:
        """Number of images."""
        return len(self)

    @property
    def values(self) -> Tensor:
        """[image, layer, head, hop], the strength: :attr:`profile`."""
        return self.profile

    @property
    def hops(self) -> int:
        """Number of hops, the patch itself included: the longer side of the grid."""
        return int(self.profile.shape[-1])

    def plot(self, ax: Axes | None = None, *, quantity: HeadQuantity = "entropy") -> Axes:
        """Draw a dot for every head over its layer, the mean of the images. Needs matplotlib.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
        quantity : str
            ``"entropy"``, ``"distance"``, or with a class token ``"class_to_class"``,
            ``"class_to_patches"`` or ``"patches_to_class"``.

        Returns
        -------
        matplotlib.axes.Axes

        Raises
        ------
        ParameterError
            If there is no such quantity, or matplotlib is not installed.
        """
        from .plot import plot_by_layer

        quantities = self._by_head()
        if quantity not in quantities:
            missing = quantity in get_args(HeadQuantity)
            raise ParameterError(
                f"quantity is {quantity!r}: choose one of {', '.join(quantities)}."
                + (" The model has no class token." if missing else "")
            )
        return plot_by_layer(quantities[quantity].nanmean(0), quantity, self.hops, ax)

    def _by_head(self) -> dict[str, Tensor]:
        """What is known of each head, [image, layer, head] each."""
        quantities = {name: getattr(self, name) for name in get_args(HeadQuantity)}
        return {name: values for name, values in quantities.items() if values is not None}

    def _variables(self) -> Mapping[str, Variable]:
        by_head = {name: Variable(self.table_axes, v) for name, v in self._by_head().items()}
        strength = Variable(self.axes, self.profile)
        return {**by_head, "strength": strength, "pairs": Variable(("hop",), self.pairs)}

    def _repr_html_(self) -> str:
        maps = (
            heat_map(values.nanmean(0).T, title=title, caption="head x layer")
            for values, title in (
                (self.entropy, "entropy in nats"),
                (self.distance, "mean attention distance in pixels"),
            )
        )
        return block(f"{self._title()}{self._shortfall()}", *maps)

    def _images(self, first: int, last: int) -> AttentionStrength:
        return rows_of(self, first, last, but=("pairs", "skipped"))

    def _to_parts(self) -> tuple[dict[str, Tensor], JsonObject]:
        tensors = {**self._by_head(), "profile": self.profile, "pairs": self.pairs}
        return tensors, self._about_extent()

    @classmethod
    def _from_parts(cls, tensors: dict[str, Tensor], about: JsonObject) -> AttentionStrength:
        names = ("profile", *get_args(HeadQuantity), "pairs")
        optional = [name for name in names if name.startswith("class") or name.endswith("class")]
        values = [tensors.get(name) if name in optional else tensors[name] for name in names]
        return cls(*values, *extent_from(about), skipped_from(about))  # type: ignore[call-arg, arg-type]
