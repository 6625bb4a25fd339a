"""What a session explains: a class, a prompt, or any other target."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..errors import TargetError
from ..models import VisionTransformer, takes_prompts, with_prompts
from .computation import Computation
from .lanes import Job
from .studies.comparison import COMPARE_IMAGES_SLOT
from .studies.images import IMAGES_SLOT
from .studies.patterns import PATTERNS_SLOT

__all__ = ["PROMPTS_SLOT", "SLOTS_OF_THE_SET", "Explaining"]

PROMPTS_SLOT = "prompts"
SLOTS_OF_THE_SET = (IMAGES_SLOT, PATTERNS_SLOT, COMPARE_IMAGES_SLOT)
"""Work on all images, which does not follow the one that is looked at."""


class Explaining(Computation):
    """What is explained, beyond the class that is selected."""

    _opened: int

    def _turn_to(self, prepared: tuple[Any, ...], index: int, images: Any, other: bool) -> None:
        """Look at what was prepared."""
        raise NotImplementedError

    def _forget_images(self) -> None:
        """What was said of the images of the set no longer holds."""
        raise NotImplementedError

    def explain(self, target: Any) -> None:
        """Explain a class, or anything else that :func:`~vit_attention_widget.trace` takes.

        Maps, and the importance of heads by gradient, are then of that; it stays while other images
        are looked at, until a class is chosen.

        Parameters
        ----------
        target : None, int, str, callable, or one of :mod:`~vit_attention_widget.targets`

        Raises
        ------
        TargetError
            If there is no such class. What a target finds out later, of an image, is in ``status``.
        """
        if target is None or isinstance(target, int | str):
            self.target = target
        else:
            with self._lock:
                self._explain_other(target)

    @property
    def prompts(self) -> list[str]:
        """Text prompts that stand for classes; see :meth:`set_prompts`."""
        takes = takes_prompts(self._vit) and self._vit.num_classes
        return list(self._vit.class_names or ()) if takes else []

    def set_prompts(self, prompts: Sequence[str]) -> None:
        """Take other prompts for classes, for models with a text tower; none leaves the tower.

        The prompt that is explained stays so if it is among them.

        Raises
        ------
        TargetError
            If the model has no text tower, or no tokenizer is known.
        """
        texts = list(dict.fromkeys(text.strip() for text in prompts if text.strip()))
        if not takes_prompts(self._vit):
            raise TargetError(
                f"{self._vit.name} takes no prompts: it needs a text tower and a tokenizer, e.g. "
                "vaw.zero_shot(model, prompts, tokenizer=...)."
            )

        before = self._vit

        def read(_: Any) -> VisionTransformer:
            return with_prompts(before, texts)

        def turn(vit: VisionTransformer) -> None:
            with self._lock:
                if self._vit is before:
                    self._turn_to_prompts(vit, texts)

        def failed(error: BaseException) -> None:
            with self._lock:
                self._failed(error, PROMPTS_SLOT)

        self._quick.submit(Job(PROMPTS_SLOT, "reading the prompts", read, turn, failed))

    def _turn_to_prompts(self, vit: VisionTransformer, texts: list[str]) -> None:
        before, explained = self._vit, self.target
        kept = None
        if explained is not None and not self._follow_prediction:
            name = before.class_name(explained)
            kept = texts.index(name) if name in texts else None
        prepared = self._prepared(vit, self._image)
        for slot in SLOTS_OF_THE_SET:  # it was about other classes
            self._longest.cancel(slot)
        self._follow_prediction, self._own_target = kept is None, None
        with self._quietly():
            self.target = None
            if texts and not before.num_classes:
                self.method = "daam"
            self._turn_to(prepared, self._opened, self._relabelled(before, texts), False)
            self.target = kept
        self._forget_images()

    def _relabelled(self, before: VisionTransformer, texts: list[str]) -> Any:
        """The set with labels that mean the same prompts; without labels if one is gone."""
        if self._image_set is None:
            return None
        number = {text: i for i, text in enumerate(texts)}
        labels = [
            None if y is None else number.get(before.class_name(y)) for _, y in self._image_set
        ]
        labels = labels if None not in labels else [None] * len(labels)
        return [(image, y) for (image, _), y in zip(self._image_set, labels, strict=True)]
