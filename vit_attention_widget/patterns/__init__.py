"""What patterns of attention the heads have learned (Li et al. 2023, section 5.3)."""

from .attention_patterns import AttentionPatterns
from .clusters import Cluster
from .pattern_family import PatternFamily, Placed
from .pooled_heads import head_blocks

__all__ = ["AttentionPatterns", "Cluster", "PatternFamily", "Placed", "head_blocks"]
