"""A model, an image, what is selected of them, and what was computed about them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from ..errors import ParameterError
from ..heads.image_sets import kept_inputs
from ..jobs import Job
from ..selection import heads_by_layer
from . import results
from .head_study import HeadStudy
from .selection import SELECTIONS

__all__ = ["Session"]


class Session(HeadStudy):
    """What the user looks at: shared by all widgets that show it.

    Parameters
    ----------
    model : nn.Module
        A supported Vision Transformer; it is never changed.
    image : image
        A path, bytes, PIL image, HWC uint8 array, or a float tensor taken as model input.
    target : int, str or None
        The class to explain; None follows the predicted class.
    labelled : optional
        Images with labels on which the accuracy is counted, with and without the pruned heads: a
        list of (image, label), or a data set. What it yields is kept as model input.
    **selection
        Any of the selections, see :class:`~.selection.Selection`.

    Raises
    ------
    UnsupportedModelError, ImageError, TargetError, ParameterError

    Notes
    -----
    Computing happens in two threads, one for what is waited for, one for what takes long. The
    latest request wins. :meth:`wait` blocks until all is done.

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
        target: int | str | None = None,
        *,
        labelled: Any = None,
        **selection: Any,
    ) -> None:
        unknown = [name for name in selection if name not in SELECTIONS]
        if unknown:
            raise ParameterError(
                f"There is no option {unknown[0]!r}: choose from {', '.join(SELECTIONS)}."
            )
        self._prepare_lanes()
        self._take(model, image)
        self._given = list(labelled) if isinstance(labelled, Iterator) else labelled
        self._labelled = self._kept()
        super().__init__(**{**self._first_look(), "target": target, **selection})
        self._follow_prediction = target is None
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
        """The image as it was given. Assign another one to look at it."""
        return self._image

    @image.setter
    def image(self, image: Any) -> None:
        self.look_at(image=image)

    def look_at(self, *, model: nn.Module | None = None, image: Any = None) -> None:
        """Change the model, the image or both; selections that still exist are kept.

        Raises
        ------
        UnsupportedModelError, ImageError
            Then everything stays as it was.
        """
        with self._lock:
            self._take(
                self.model if model is None else model, self._image if image is None else image
            )
            self._quick.cancel()
            self._long.cancel()
            if model is not None:
                self._labelled = self._kept()  # another model prepares images its own way
            self._reset_results()
            with self.hold_trait_notifications():
                self.selected_layer = min(self.selected_layer, self._vit.num_layers - 1)
                self.selected_head = min(self.selected_head, max(self._vit.num_heads) - 1)
                self.selected_token = min(self.selected_token, self._tokens.num_tokens - 1)
                if model is not None:
                    self.pruned_heads = []
                    self._follow_prediction = True
            self._start()

    def _kept(self) -> Any:
        return None if self._given is None else kept_inputs(self._vit, self._given)

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
        return dict(self._maps)

    def pruned_model(self) -> nn.Module:
        """A smaller copy of the model without the pruned heads; see ``prune_heads``."""
        from ..heads.pruning import prune_heads  # here: it needs timm

        return prune_heads(self._vit, heads_by_layer(self.pruned_heads))

    def wait(self, timeout: float | None = None) -> bool:
        """Block until everything asked for is computed; False after ``timeout`` seconds."""
        until = None if timeout is None else time.monotonic() + timeout
        while True:  # work of one lane may lead to work of the other
            for lane in (self._quick, self._long):
                left = None if until is None else max(0.0, until - time.monotonic())
                if not lane.wait(left):
                    return False
            if self._quick.wait(0) and self._long.wait(0):
                return True

    def cancel(self) -> None:
        """Stop what is being computed; what is there stays."""
        self._quick.cancel()
        self._long.cancel()

    def close(self) -> None:
        """Stop all work and let go of the model."""
        self._quick.close()
        self._long.close()
        self.unobserve_all()
        self._reset_results()

    def __del__(self) -> None:
        for name in ("_quick", "_long"):
            lane = self.__dict__.get(name)
            if lane is not None:
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
