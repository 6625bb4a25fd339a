"""How faithful maps are to a model, how well they lie on the object, and whether they depend on it.

:func:`evaluate` makes the table; the functions it is made of can be called by themselves.
"""

from __future__ import annotations

from ..support.deprecation import renamed_names
from .baselines import BASELINES, center, random
from .fill import FILLS, filled
from .localization import average_precision, energy_inside, iou, pointing_game
from .masks import place_mask
from .metrics import FAITHFULNESS, LOCALIZATION, METRICS
from .perturbation import (
    Curve,
    average_drop,
    deletion,
    increase,
    insertion,
    negative_perturbation,
    positive_perturbation,
)
from .result import Evaluation
from .run import evaluate, evaluate_steps
from .sanity.result import SanityCheck
from .sanity.run import sanity_check
from .scores import Scores, scores_of

__all__ = [
    "BASELINES",
    "FAITHFULNESS",
    "FILLS",
    "LOCALIZATION",
    "METRICS",
    "Curve",
    "Evaluation",
    "SanityCheck",
    "Scores",
    "average_drop",
    "average_precision",
    "center",
    "deletion",
    "energy_inside",
    "evaluate",
    "evaluate_steps",
    "filled",
    "increase",
    "insertion",
    "iou",
    "negative_perturbation",
    "place_mask",
    "pointing_game",
    "positive_perturbation",
    "random",
    "sanity_check",
    "scores_of",
]

__getattr__ = renamed_names(__name__, {"LOCALISATION": "LOCALIZATION", "centre": "center"})
