"""Parts of one head's attention set to zero."""

from .run import MODES, PartialPruning, partial_pruning

__all__ = ["MODES", "PartialPruning", "partial_pruning"]
