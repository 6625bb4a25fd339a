"""Parts of one head's attention set to zero."""

from .result import MODES, PartialPruning
from .run import partial_pruning

__all__ = ["MODES", "PartialPruning", "partial_pruning"]
