"""Libraries that not everyone needs, imported when they are."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

from ..errors import ParameterError

__all__ = ["optional"]


def optional(module: str, caller: str, extra: str = "tables") -> ModuleType:
    """Import a library of one of the package's extras.

    Parameters
    ----------
    module : str
        Such as ``"pandas"`` or ``"matplotlib.pyplot"``.
    caller : str
        What needs it, as a user calls it: ``"to_dataframe()"``.
    extra : str
        The extra that it belongs to.

    Raises
    ------
    ParameterError
        If it is not installed.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        library = module.partition(".")[0]
        if (error.name or "").partition(".")[0] != library:
            raise  # it is installed, but lacks something itself
        raise ParameterError(
            f"{caller} needs {library}, which is not installed: "
            f"pip install 'vit-attention-widget[{extra}]'."
        ) from error
