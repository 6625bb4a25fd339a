"""What is left of a decision as ever more heads are pruned."""

from .run import (
    CURVE_METRICS,
    ORDERS,
    CurveMetric,
    Order,
    PruningCurve,
    pruning_curve,
    pruning_curve_steps,
)

__all__ = [
    "CURVE_METRICS",
    "ORDERS",
    "CurveMetric",
    "Order",
    "PruningCurve",
    "pruning_curve",
    "pruning_curve_steps",
]
