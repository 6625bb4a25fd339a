"""Smaller models: heads cut out for good. Needs timm."""

from .file import load_pruned, save_pruned
from .record import Pruning, pruning_of
from .run import prune_heads

__all__ = ["Pruning", "load_pruned", "prune_heads", "pruning_of", "save_pruned"]
