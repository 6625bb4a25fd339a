"""The smaller model that a budget allows, and what it costs. Needs timm."""

from .recovery import FineTuning
from .result import BudgetPruning, Recovered
from .run import prune_to, prune_to_steps

__all__ = ["BudgetPruning", "FineTuning", "Recovered", "prune_to", "prune_to_steps"]
