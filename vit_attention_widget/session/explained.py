"""What a session explains: the predicted class, a chosen one, or any other target."""

from __future__ import annotations

from dataclasses import dataclass

from ..targets.user_target import TargetLike

__all__ = ["Explained"]


@dataclass
class Explained:
    """What is explained now, and what the shown trace explains.

    Attributes
    ----------
    follows_prediction : bool
        Whether the predicted class is explained, whichever that is.
    other : target or None
        What is explained where it is not a class.
    traced_follows, traced_other
        The same, of the trace that is shown.
    """

    follows_prediction: bool = True
    other: TargetLike = None
    traced_follows: bool = True
    traced_other: TargetLike = None

    def restore(self) -> None:
        """Explain again what the shown trace explains."""
        self.follows_prediction, self.other = self.traced_follows, self.traced_other
