"""How many numbers a classifier gives, as far as that can be told before it is run."""

from __future__ import annotations

from torch import nn

__all__ = ["classifier_width"]

_NOTHING_IN_IT = (nn.Identity, nn.Dropout, nn.Flatten, nn.Sequential)


def classifier_width(classifier: object) -> int | None:
    """How many numbers a classifier gives.

    Whatever it is (a layer, several, an adapter's wrapper, a quantized layer), its last layer with
    ``out_features`` decides. What counts in the end are the logits of the pass that was run.

    Returns
    -------
    int or None
        0 without a classifier, or for one that passes on what it is given; None if it cannot be
        told.
    """
    if not isinstance(classifier, nn.Module):
        return 0
    modules = list(classifier.modules())
    if all(isinstance(module, _NOTHING_IN_IT) for module in modules):
        return 0
    widths = [getattr(module, "out_features", None) for module in modules]
    return next((width for width in reversed(widths) if isinstance(width, int)), None)
