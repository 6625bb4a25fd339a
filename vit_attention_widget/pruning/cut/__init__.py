"""Smaller models: heads cut out for good. Needs timm."""

from .prune import Pruning, load_pruned, prune_heads, pruning_of, save_pruned

__all__ = ["Pruning", "load_pruned", "prune_heads", "pruning_of", "save_pruned"]
