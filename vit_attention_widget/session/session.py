"""A model, an image, what is selected of them, and what was computed about them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from ..data.image_sets import kept_inputs, raw_image
from ..errors import ParameterError, VitAttentionError
from ..models import VisionTransformer, describe
from ..models.head_index import head_pairs
from ..patterns import AttentionPatterns
from . import payloads as results
from .explaining import PROMPTS_SLOT, SLOTS_OF_THE_SET, Explaining
from .lanes import Job
from .studies.faithfulness import FaithfulnessStudy
from .studies.images import ImageStudy, names_of
from .studies.patterns import PatternStudy
from .traits import SELECTIONS

__all__ = ["Session"]

_STAYS = (*SLOTS_OF_THE_SET, PROMPTS_SLOT)
"""Work that goes on while another image is looked at."""


class Session(ImageStudy, PatternStudy, FaithfulnessStudy, Explaining):
    """What the user looks at: shared by all widgets that show it.

    Parameters
    ----------
    model : nn.Module
        A supported Vision Transformer; it is never changed.
    image : image
        A path, bytes, PIL image, HWC uint8 array, or a float tensor taken as model input.
    target : int, str, None, or one of :mod:`~vit_attention_widget.targets`
        The class to explain; None follows the predicted class; see also :meth:`explain`.
    image_set : optional
        Further images for what is said of many: a list of images or of (image, label), or a data
        set. With labels the accuracy is counted, with and without the pruned heads. What it yields
        is kept as model input.
    patterns : AttentionPatterns, optional
        A map of attention patterns that was made of this model; see also :meth:`learn_patterns`.
    models : dict, optional
        Other models by name, whose maps can be compared with this one's.
    **selection
        Any of the selections, see :class:`~.traits.SelectionTraits`.

    Raises
    ------
    UnsupportedModelError, ImageError, TargetError, ParameterError

    Notes
    -----
    Computing happens in threads of its own: one for what is waited for, one for what takes long,
    one for what takes minutes. The latest request wins. :meth:`wait` blocks until all is done.

    Examples
    --------
    >>> import vit_attention_widget as vaw
    >>> session = vaw.Session(vaw.demo.load_model(), vaw.demo.scene(seed=1).image)
    >>> session.wait()
    True
    >>> session.pruned_heads = [(0, 1)]
    >>> session.wait() and len(session.top5)
    5
    >>> session.close()
    """

    def __init__(
        self,
        model: nn.Module,
        image: Any,
        target: Any = None,
        *,
        image_set: Any = None,
        patterns: AttentionPatterns | None = None,
        models: Mapping[str, nn.Module] | None = None,
        **selection: Any,
    ) -> None:
        unknown = [name for name in selection if name not in SELECTIONS]
        if unknown:
            raise ParameterError(
                f"There is no option {unknown[0]!r}: choose from {', '.join(SELECTIONS)}."
            )
        self._prepare()
        self._models = {name: describe(other) for name, other in (models or {}).items()}
        self._take(self._prepared(model, image))
        self._own_image, self._opened = image, -1
        self._given = list(image_set) if isinstance(image_set, Iterator) else image_set
        self._image_set = self._kept(self._vit)
        self._own_target = None if target is None or isinstance(target, int | str) else target
        of_class = target if self._own_target is None else None
        super().__init__(**{**self._first_look(), "target": of_class, **selection})
        self._follow_prediction = of_class is None
        self.patterns = patterns
        self._begin()

    # What is looked at ---------------------------------------------------------------------------

    @property
    def model(self) -> nn.Module:
        """The user's model. Assign another one to look at it with the same image."""
        return self._vit.model

    @model.setter
    def model(self, model: nn.Module) -> None:
        self.look_at(model=model)

    @property
    def image(self) -> Any:
        """The image as it was given, or the model input of the selected one of the set.

        Assign another one to look at it.
        """
        return self._image

    @image.setter
    def image(self, image: Any) -> None:
        self.look_at(image=image)

    def look_at(self, *, model: nn.Module | None = None, image: Any = None) -> None:
        """Change the model, the image or both; selections that still exist are kept.

        Raises
        ------
        UnsupportedModelError, ImageError, TargetError
            Then everything stays as it was.
        """
        with self._lock:
            now, index = self._image, self._opened if image is None else -1
        images: Any = self._image_set if model is None else self._kept(describe(model))
        if image is None:
            image = now if index < 0 else images[index][0]
        vit = self._vit
        prepared = self._prepared(vit if model is None else model, image)
        with self._lock:
            if model is None and self._vit is not vit:  # other prompts were read meanwhile
                prepared = self._prepared(self._vit, image)
            if index < 0:
                self._own_image = image
            self._turn_to(prepared, index, images, model is not None)

    def _turn_to(self, prepared: tuple[Any, ...], index: int, images: Any, other: bool) -> None:
        for lane in self._lanes:
            lane.cancel(but=() if other else _STAYS)
        self._take(prepared)
        self._image_set, self._opened = images, index
        with self._quietly():  # what is selected is brought into range
            self._reset_results()
            if other:
                self._forget_images()
                self._strength_set = b""
                self.pruned_heads, self._follow_prediction = [], True
            self.selected_image = index
            self._into_range()
            if other:
                self._own_target = None
        self._start()

    def _into_range(self) -> None:
        self.selected_layer = min(self.selected_layer, self._vit.num_layers - 1)
        most = self._vit.num_heads[self.selected_layer] - 1
        self.selected_head = min(self.selected_head, most)
        self.selected_token = min(self.selected_token, self._tokens.num_tokens - 1)

    def _selected(self, change: Any) -> None:
        if change["name"] != "selected_image":
            super()._selected(change)
        elif self._ready and not self._is_quiet():
            self._open_selected()

    def _open_selected(self) -> None:
        with self._lock:  # what is selected now counts, whoever selected it
            index = self.selected_image
            if index == self._opened:
                return
            image = self._own_image if index < 0 else self._the_set()[index][0]
            try:
                prepared = self._prepared(self._vit, image)
            except VitAttentionError:
                with self._quietly():
                    self.selected_image = self._opened
                raise
            self._turn_to(prepared, index, self._image_set, False)

    def _begin(self) -> None:
        if self.selected_image >= 0:
            self._opened = self.selected_image
            self._take(self._prepared(self._vit, self._the_set()[self._opened][0]))
            self._into_range()
        super()._begin()

    def _image_name(self) -> str:
        if self._opened < 0:
            return super()._image_name()
        names = names_of(self._given, len(self._the_set()))
        return (names[self._opened] if names else "") or f"image {self._opened}"

    def _raw_image(self) -> Any:
        if self._opened < 0:
            return self._own_image
        return raw_image(self._given, self._opened, len(self._the_set()))

    def _kept(self, vit: VisionTransformer) -> Any:
        return None if self._given is None else kept_inputs(vit, self._given)

    # What was found ------------------------------------------------------------------------------

    @property
    def top5(self) -> list[tuple[str, float]]:
        """The five most probable classes with their probabilities, as the model stands now."""
        found = self.trace
        if found is None or not self._vit.num_classes:
            return []
        best = found.probabilities[0].topk(min(5, self._vit.num_classes))
        pairs = zip(best.values.tolist(), best.indices.tolist(), strict=True)
        return [(self._vit.class_name(i), p) for p, i in pairs]

    @property
    def attributions(self) -> Mapping[str, NDArray[np.float32]]:
        """Maps by method, each [layer, row, col]; ``"daam.before"`` is without pruning."""
        return dict(self._maps_by_method)

    def pruned_model(self) -> nn.Module:
        """A smaller copy of the model without the pruned heads; see ``prune_heads``."""
        from ..pruning.cut import prune_heads  # here: it needs timm

        return prune_heads(self._vit, self.pruned_heads)

    def wait(self, timeout: float | None = None) -> bool:
        """Block until everything asked for is computed; False after ``timeout`` seconds."""
        until = None if timeout is None else time.monotonic() + timeout
        while True:  # work of one lane may lead to work of the other
            for lane in self._lanes:
                left = None if until is None else max(0.0, until - time.monotonic())
                if not lane.wait(left):
                    return False
            if all(lane.wait(0) for lane in self._lanes):
                return True

    def cancel(self) -> None:
        """Stop what is being computed; what is there stays, and what is pruned goes back to it."""
        self._long.cancel()
        self._longest.cancel()
        self._quick.cancel("trace")
        self._quick.cancel(PROMPTS_SLOT)
        with self._lock:
            shown = self.trace
            if shown is not None:
                self._own_target = self._traced_own
                self._follow_prediction = self._traced_followed
                self._describe()
                with self._quietly():
                    self.pruned_heads = head_pairs(shown.head_mask)
                self._show_target()

    def close(self) -> None:
        """Stop all work and let go of the model."""
        for lane in self._lanes:
            lane.close()
        self.unobserve_all()
        self._reset_results()

    def __del__(self) -> None:
        for lane in self.__dict__.get("_lanes", ()):
            lane.close()

    def ask(
        self,
        slot: str,
        work: Callable[[], bytes],
        done: Callable[[bytes], None],
        failed: Callable[[BaseException], None],
        cancelled: Callable[[], None],
    ) -> None:
        """Answer a browser's request in the quick thread, by exactly one of the last three."""
        self._quick.submit(Job(slot, "", lambda _: work(), done, failed, cancelled))

    def forget(self, slot: str) -> None:
        """Cancel a request of :meth:`ask`."""
        self._quick.cancel(slot)

    def attention_layer(self, layer: int) -> bytes:
        """Attention of a layer as it goes to the browser."""
        return results.attention_layer(self._shown(), layer)

    def rows_of(self, token: int, direction: str) -> bytes:
        """Attention of a token in every head as it goes to the browser."""
        return results.attention_rows(self._shown(), token, direction)
