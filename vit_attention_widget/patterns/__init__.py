"""What patterns of attention the heads have learned (Li et al. 2023, section 5.3)."""

from .attention_patterns import AttentionPatterns
from .blocks import head_blocks
from .clusters import Cluster
from .family import PatternFamily, Placed

__all__ = ["AttentionPatterns", "Cluster", "PatternFamily", "Placed", "head_blocks"]
