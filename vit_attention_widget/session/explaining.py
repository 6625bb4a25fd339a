"""What a session explains: a class, a prompt, or any other target."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..errors import TargetError
from ..vision_transformers import takes_prompts, with_prompts
from .computation import Computation

__all__ = ["Explaining"]


class Explaining(Computation):
    """What is explained, beyond the class that is selected."""

    _opened: int

    def _turn_to(self, prepared: tuple[Any, ...], index: int, images: Any, other: bool) -> None:
        """Look at what was prepared."""
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

        def work(_: Any) -> tuple[Any, ...]:
            return self._prepared(with_prompts(self._vit, texts), self._image)

        def turn(prepared: tuple[Any, ...]) -> None:
            before, explained = self._vit, self.target
            kept = None
            if explained is not None and not self._follow_prediction:
                name = before.class_name(explained)
                kept = texts.index(name) if name in texts else None
            self._follow_prediction, self._own_target = kept is None, None
            with self._quietly():
                self.target = None
                self._turn_to(prepared, self._opened, self._image_set, False)
                self.target = kept
                if not before.num_classes:
                    self.method = "daam"

        self._do(self._quick, "prompts", "reading the prompts", work, turn)
