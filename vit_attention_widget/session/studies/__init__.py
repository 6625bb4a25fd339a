"""What a session finds out, one file a kind of study."""

from __future__ import annotations

from collections.abc import Iterator

from ..context import Context
from .accuracy import AccuracyStudy
from .comparison import ComparisonStudy
from .curves import CurveStudy
from .faithfulness import FaithfulnessStudy
from .images import ImageStudy
from .importance import ImportanceStudy
from .interactions import InteractionsStudy
from .layer_decisions import LayerDecisionsStudy
from .maps import MapsStudy
from .partial import PartialStudy
from .patterns import PatternStudy
from .saved_model import SavedModelStudy
from .stored_images import StoredImagesStudy
from .strength import StrengthStudy
from .study import Study

__all__ = ["Studies"]


class Studies:
    """Every study of a session, in the order in which they are told of changes.

    Work of one lane is done in this order too: maps first, then what is known of heads.
    """

    def __init__(self, context: Context) -> None:
        self.maps = MapsStudy(context)
        self.accuracy = AccuracyStudy(context)
        self.importance = ImportanceStudy(context)
        self.interactions = InteractionsStudy(context)
        self.partial = PartialStudy(context)
        self.curves = CurveStudy(context)
        self.saved_model = SavedModelStudy(context)
        self.strength = StrengthStudy(context)
        self.layer_decisions = LayerDecisionsStudy(context)
        self.patterns = PatternStudy(context)
        self.comparison = ComparisonStudy(context, self.maps)
        self.faithfulness = FaithfulnessStudy(context, self.maps, self.comparison)
        self.images = ImageStudy(context)
        self.stored_images = StoredImagesStudy(context)

    def __iter__(self) -> Iterator[Study]:
        return iter(vars(self).values())

    def follow_trace(self) -> None:
        """A new trace is there; called with the lock held."""
        for study in self:
            study.follow_trace()

    def forget_set(self) -> None:
        """Another model sees other images; what was said of the image set no longer holds."""
        self.images.forget()
        self.stored_images.check_model()
        self.interactions.forget()
        self.strength.forget_set()
