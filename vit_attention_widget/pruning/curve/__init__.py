"""What is left of a decision as ever more heads are pruned."""

from .order import ORDERS, Order
from .result import CURVE_METRICS, CurveMetric, PruningCurve
from .run import pruning_curve, pruning_curve_steps

__all__ = [
    "CURVE_METRICS",
    "ORDERS",
    "CurveMetric",
    "Order",
    "PruningCurve",
    "pruning_curve",
    "pruning_curve_steps",
]
