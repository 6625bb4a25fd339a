"""How far heads attend: strength by distance, its entropy, and the mean attention distance."""

from .result import AttentionStrength
from .run import attention_strength

__all__ = ["AttentionStrength", "attention_strength"]
