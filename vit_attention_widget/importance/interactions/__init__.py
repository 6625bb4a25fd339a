"""How much the importance of the other heads changes when one is gone."""

from .result import Backup, HeadInteractions
from .run import head_interactions, head_interactions_steps

__all__ = ["Backup", "HeadInteractions", "head_interactions", "head_interactions_steps"]
