"""How faithful maps are to a model, whether they lie on the object and depend on the weights.

:func:`evaluate` makes a table of methods by metrics; each metric is a function of its own, too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..support.deprecation import renamed_names
from .baselines import BASELINES, center, random
from .curve import Curve
from .fill import FILLS
from .localization import average_precision, energy_inside, iou, pointing_game
from .map_as_mask import average_drop, increase
from .metrics import FAITHFULNESS, LOCALIZATION, METRICS
from .perturbation import deletion, insertion, negative_perturbation, positive_perturbation
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
    "increase",
    "insertion",
    "iou",
    "negative_perturbation",
    "pointing_game",
    "positive_perturbation",
    "random",
    "sanity_check",
    "scores_of",
]

if not TYPE_CHECKING:  # old names are for programs that run, not for those that are checked
    __getattr__ = renamed_names(
        __name__,
        {
            "LOCALISATION": "LOCALIZATION",
            "centre": "center",
            "filled": "fill.completely_hidden",
            "place_mask": "masks.place_mask",
        },
    )
