"""Turning to another model, another image, or another one of the set."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from ..data.labels import with_names_of
from ..errors import VitAttentionError
from ..models import VisionTransformer, describe
from ..models.images import ImageLike
from . import payloads
from .brought import BroughtPictures
from .context import Context
from .description import describe_subject
from .history import no_history, without_selections
from .image_set import ImageSet
from .studies import Studies
from .studies.comparison import COMPARE_IMAGES_SLOT
from .studies.images import IMAGES_SLOT
from .studies.patterns import PATTERNS_SLOT
from .studies.stored_images import STORED_SLOT
from .subject import Subject
from .traces import Traces

__all__ = ["PROMPTS_SLOT", "SLOTS_OF_THE_SET", "Looking"]

PROMPTS_SLOT = "prompts"

SLOTS_OF_THE_SET = (IMAGES_SLOT, PATTERNS_SLOT, COMPARE_IMAGES_SLOT, STORED_SLOT)
"""Work on all images, which does not follow the one that is looked at."""

_STAYS = (*SLOTS_OF_THE_SET, PROMPTS_SLOT)
"""Work that goes on while another image is looked at."""


class Looking:
    """What is looked at, and how it changes: all at once, or not at all.

    Parameters
    ----------
    context : Context
    traces : Traces
    studies : Studies
        Told when what they found no longer holds.
    brought : BroughtPictures
        Told which picture is looked at.
    """

    def __init__(
        self, context: Context, traces: Traces, studies: Studies, brought: BroughtPictures
    ) -> None:
        self._context = context
        self._traces = traces
        self._studies = studies
        self._brought = brought

    def begin(self) -> None:
        """Look for the first time, at the image of the set if one is selected."""
        context = self._context
        index = context.traits.selected_image
        if index >= 0:
            context.opened = index
            context.turn_to(Subject.of(context.vit, context.as_input(index)))
            self._into_range()
        context.report()
        self._start()

    def look_at(
        self,
        *,
        model: nn.Module | VisionTransformer | None = None,
        image: ImageLike | None = None,
    ) -> None:
        """Change the model, the image or both; selections that still exist are kept.

        Raises
        ------
        UnsupportedModelError, ImageError, TargetError
            Then everything stays as it was.
        """
        context = self._context
        other_model, other_image = model is not None, image is not None
        with context.lock:
            now, index = context.subject.image, context.opened if image is None else -1
        images = context.image_set
        if model is not None and context.stored is not None:
            model = describe(model)
            context.stored.check(model)
        if model is not None and images is not None:
            model = with_names_of(images.given, describe(model))
            images = images.for_model(model)
        if image is None and images is not None and index >= 0:
            image = images.inputs[index]
        if image is None:
            image = now if index < 0 else context.as_input(index)
        vit = context.vit
        subject = Subject.of(vit if model is None else model, image)
        with context.lock:
            if model is None and not context.is_about(vit):  # other prompts were read meanwhile
                subject = Subject.of(context.vit, image)
            if index < 0:
                context.own_image = image
            self.turn_to(subject, index, images, other_model=other_model, other_image=other_image)

    def again(self) -> None:
        """Look at the model as it is now, after its weights or parts changed; choices are kept.

        Raises
        ------
        UnsupportedModelError, ImageError
        """
        context = self._context
        with context.lock:
            vit = context.vit
            if vit.library != "adapted" and vit.text is None:
                now = describe(vit.model)
                shape = (vit.num_heads, vit.num_classes, list(map(id, vit.blocks)))
                if (now.num_heads, now.num_classes, list(map(id, now.blocks))) != shape:
                    self.look_at(model=now)
                    return
            image = context.own_image
            if context.opened >= 0:
                image = context.raw_image
            subject = Subject.of(vit, image)
            self._studies.forget_set()
            self.turn_to(subject, context.opened, context.image_set)

    def open_selected(self) -> None:
        """Look at the image of the set that is selected."""
        context = self._context
        with context.lock:  # what is selected now counts, whoever selected it
            index = context.traits.selected_image
            if index == context.opened:
                return
            try:
                subject = Subject.of(context.vit, context.as_input(index))
            except VitAttentionError:
                with context.quietly():
                    context.traits.selected_image = context.opened
                raise
            self.turn_to(subject, index, context.image_set, other_image=True)

    def turn_to(
        self,
        subject: Subject,
        index: int,
        images: ImageSet | None,
        *,
        other_model: bool = False,
        other_image: bool = False,
    ) -> None:
        """Look at what was prepared; called with the lock held."""
        context, traits = self._context, self._context.traits
        stays: Sequence[str] = () if other_model else _STAYS
        context.lanes.cancel(but=stays)
        context.turn_to(subject)
        context.image_set, context.opened = images, index
        with context.quietly():  # what is selected is brought into range
            self.reset()
            if other_model:
                self._studies.forget_set()
                traits._history = no_history()
            elif other_image:
                traits._history = without_selections(traits._history)
            if other_model or other_image:
                context.explained.follows_prediction = True
            traits.selected_image = index
            self._into_range()
            if other_model:
                context.explained.other = None
        self._start()

    def reset(self) -> None:
        """Drop the traces, and all that was found out from them."""
        self._traces.reset()
        for study in self._studies:
            study.reset()

    def _into_range(self) -> None:
        traits, subject = self._context.traits, self._context.subject
        traits.selected_layer = min(traits.selected_layer, subject.vit.num_layers - 1)
        heads = subject.vit.num_heads[traits.selected_layer]
        traits.selected_head = min(traits.selected_head, heads - 1)
        traits.selected_token = min(traits.selected_token, subject.tokens.num_tokens - 1)

    def _start(self) -> None:
        context = self._context
        describe_subject(context)
        (picture,) = context.vit.picture(context.subject.inputs)
        context.traits._picture = payloads.picture_bytes(picture)
        self._brought.follow(picture)
        self._traces.start("running the model")
