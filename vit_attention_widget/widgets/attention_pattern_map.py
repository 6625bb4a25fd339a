"""A map of what patterns of attention the heads have learned."""

from __future__ import annotations

from typing import ClassVar

from ..errors import ParameterError
from ..patterns import AttentionPatterns
from .base import SessionWidget

__all__ = ["AttentionPatternMap"]


class AttentionPatternMap(SessionWidget):
    """All heads over a set of images as points, with heads that attend alike near each other.

    Heads of the current image are dots colored by layer; dragging draws a lasso. Without
    ``patterns`` the map is learned at a click, from the ``image_set``.

    Parameters, traits and errors are those of :class:`~.base.SessionWidget`.
    """

    stem: ClassVar[str] = "attention_pattern_map"

    @property
    def patterns(self) -> AttentionPatterns:
        """The map that is shown.

        Raises
        ------
        ParameterError
            If none was learnt or given yet.
        """
        patterns = self.session.patterns
        if patterns is None:
            raise ParameterError(
                "There is no map yet: learn one (session.learn_patterns(), or the button), or give "
                "patterns=..."
            )
        return patterns

    def learn(self) -> None:
        """Learn the patterns; :meth:`wait` waits for them."""
        self.session.learn_patterns()
