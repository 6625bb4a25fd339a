"""What patterns of attention the heads have learned (Li et al. 2023, section 5.3)."""

from .attention_patterns import AttentionPatterns
from .clusters import Cluster
from .family_spec import FamilyName, FamilySpec
from .libraries import check_pattern_libraries
from .pattern_family import PatternFamily
from .placed_heads import PlacedHeads
from .pooled_heads import PooledHeads, pool_heads

__all__ = [
    "AttentionPatterns",
    "Cluster",
    "FamilyName",
    "FamilySpec",
    "PatternFamily",
    "PlacedHeads",
    "PooledHeads",
    "check_pattern_libraries",
    "pool_heads",
]
