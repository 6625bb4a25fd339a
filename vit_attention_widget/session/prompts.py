"""Text prompts that stand for classes, for models with a text tower."""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import TargetError
from ..models import VisionTransformer, takes_prompts, with_prompts
from ..models.text_prompts import ZeroShot
from ..support.progress import Progress
from .context import Context
from .looking import PROMPTS_SLOT, SLOTS_OF_THE_SET, Looking
from .studies import Studies
from .subject import Subject

__all__ = ["Prompts"]


class Prompts:
    """Reads prompts as another description of the same model, so pruned heads stay pruned.

    Parameters
    ----------
    context : Context
    looking : Looking
        Turns to the model as it is described with the prompts.
    studies : Studies
        What they said of the image set is about the classes of before.
    """

    def __init__(self, context: Context, looking: Looking, studies: Studies) -> None:
        self._context = context
        self._looking = looking
        self._studies = studies

    @property
    def texts(self) -> list[str]:
        """The prompts that stand for classes now; none for models that take none."""
        vit = self._context.vit
        return list(vit.prompts) if takes_prompts(vit) and isinstance(vit, ZeroShot) else []

    def set(self, prompts: Sequence[str]) -> None:
        """Take other prompts for classes; see ``Session.set_prompts``.

        Raises
        ------
        TargetError
            If the model has no text tower, or no tokenizer is known.
        """
        context = self._context
        texts = list(dict.fromkeys(text.strip() for text in prompts if text.strip()))
        vit = context.vit
        if not takes_prompts(vit):
            raise TargetError(
                f"{vit.name} takes no prompts: it needs a text tower and a tokenizer, e.g. "
                "vaw.zero_shot(model, prompts, tokenizer=...)."
            )

        def work(_: Progress) -> VisionTransformer:
            return with_prompts(vit, texts)

        def done(with_texts: VisionTransformer) -> None:
            if context.is_about(vit):
                self._turn_to(with_texts, texts)

        context.do(
            context.lanes.quick, PROMPTS_SLOT, "reading the prompts", work, done, still=lambda: True
        )

    def _turn_to(self, vit: VisionTransformer, texts: list[str]) -> None:
        context, traits, before = self._context, self._context.traits, self._context.vit
        chosen, kept = traits.target, None
        if chosen is not None and not context.explained.follows_prediction:
            name = before.class_name(chosen)
            kept = texts.index(name) if name in texts else None
        subject = Subject.of(vit, context.subject.image)
        for slot in SLOTS_OF_THE_SET:  # it was about other classes
            for lane in (context.lanes.longest, context.lanes.reading):
                lane.cancel(slot)
        context.explained.follows_prediction, context.explained.other = kept is None, None
        images = context.image_set
        if images is not None:
            images = images.relabeled(before, texts)
        with context.quietly():
            traits.target = None
            if texts and not before.has_classes:
                traits.method = "daam"
            self._looking.turn_to(subject, context.opened, images)
            traits.target = kept
        self._studies.images.forget()
        self._studies.stored_images.check_model()
