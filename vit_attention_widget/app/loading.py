"""A model by its name, or from its folder, with weights from a file or with its library's own."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from ..errors import ParameterError, VitAttentionError
from ..results.optional import optional
from ..support.words import said, shown
from .weights import misfit, read_weights, without_prefix
from .which_library import LIBRARIES, Library, library_of

__all__ = ["load_model"]

_FOLDER_WEIGHTS = ("model.safetensors", "pytorch_model.bin")


def load_model(
    name: str | os.PathLike[str],
    *,
    library: Library | None = None,
    weights: str | os.PathLike[str] | None = None,
) -> nn.Module:
    """A model of timm, transformers or open_clip, in evaluation mode.

    Parameters
    ----------
    name : str or path
        A model's name, or a folder that ``save_pretrained`` wrote.
    library : {"timm", "transformers", "open_clip"}, optional
        By default the one that knows the name, or that wrote the folder.
    weights : path, optional
        A file of the model's weights: safetensors, or one of ``torch.save(model.state_dict())``.
        Only numbers are read, no code is run. How many classes there are follows from them. By
        default the weights that the library has for the name, which are fetched once; for
        open_clip also the tag of such weights.

    Raises
    ------
    UnsupportedModelError
        If no library knows the name.
    ParameterError
        If a file or folder is not there, or its weights are not those of this model; if the
        library's weights cannot be had; if the library is not installed.

    Examples
    --------
    >>> from vit_attention_widget.app import load_model
    >>> load_model("vit_base_patch16_224", weights="mine.safetensors")  # doctest: +SKIP
    """
    name = os.path.expanduser(os.fspath(name))
    if library is None:
        library = library_of(name)
    elif library not in LIBRARIES:
        raise ParameterError(f"library is {shown(library)}: choose from {', '.join(LIBRARIES)}.")
    make = {"timm": _timm, "transformers": _transformers, "open_clip": _open_clip}[library]
    try:
        model: nn.Module = make(name, weights)
    except VitAttentionError:
        raise
    except Exception as error:  # a library may raise anything, as may what it fetches with
        where = f"with the weights {str(weights)!r}" if weights else "with the library's weights"
        raise ParameterError(
            f"{library} could not make {name!r} {where}: {said(error)}. Where the network is the "
            "reason, give the weights as a file (--weights FILE)."
        ) from error
    return model.eval()


def _timm(name: str, weights: str | os.PathLike[str] | None) -> nn.Module:
    import timm

    if os.path.isdir(name):
        weights = weights or _weights_in(name)
        name = f"local-dir:{name}"
    elif name.startswith("timm/"):
        name = f"hf-hub:{name}"
    if weights is None:
        fetched: nn.Module = timm.create_model(name, pretrained=True)
        return fetched
    model: Any = timm.create_model(name)
    state = without_prefix(read_weights(weights), model)
    classes = _width_of_head(state, model.pretrained_cfg.get("classifier"))
    config = {"state_dict": state, "num_classes": classes, "source": None}
    try:
        # timm renames and resizes what older files hold otherwise
        model = timm.create_model(
            name, pretrained=True, pretrained_cfg_overlay=config, num_classes=classes
        )
    except RuntimeError as error:
        raise _of_another_model(weights, name, misfit(state, model)) from error
    model.pretrained_cfg.pop("state_dict", None)  # a second copy of all weights
    loaded: nn.Module = model
    return loaded


def _transformers(name: str, weights: str | os.PathLike[str] | None) -> nn.Module:
    transformers: Any = optional("transformers", "--library transformers", "transformers")
    try:
        config = transformers.AutoConfig.from_pretrained(name, trust_remote_code=False)
    except ValueError as error:
        if "trust_remote_code" not in str(error):
            raise
        raise ParameterError(
            f"{name!r} brings code of its own, and none is run here: read it, load the model in "
            "Python, and give it to vaw.Explorer(model, image)."
        ) from error
    kind = (config.architectures or ["AutoModel"])[0]  # with the head that it was trained with
    model_class: Any = getattr(transformers, kind, transformers.AutoModel)
    if weights is None:
        saved: nn.Module = model_class.from_pretrained(name, trust_remote_code=False)
        return saved
    state = read_weights(weights)
    if classes := _width_of_head(state, "classifier"):
        config.num_labels = classes
    model, report = model_class.from_pretrained(
        None, config=config, state_dict=state, output_loading_info=True
    )
    if report["missing_keys"] or report["mismatched_keys"]:
        raise _of_another_model(weights, name, misfit(state, model))
    made: nn.Module = model
    return made


def _open_clip(name: str, weights: str | os.PathLike[str] | None) -> nn.Module:
    open_clip: Any = optional("open_clip", "--library open_clip", "open_clip")
    if os.path.isdir(name):
        name = f"local-dir:{name}"
    elif "/" in name and ":" not in name:
        name = f"hf-hub:{name}"
    tags = [] if ":" in name else open_clip.list_pretrained_tags_by_model(name)
    model: nn.Module
    if weights is None or str(weights) in tags:
        tag = str(weights) if weights else next(iter(tags), None)
        model = open_clip.create_model(
            name, pretrained=tag, weights_only=True, require_pretrained=True
        )
        return model
    state = read_weights(weights)
    with _without_saying("initialized randomly"):  # it gets its weights at once
        model = open_clip.create_model(name, load_weights=False)
    try:
        # open_clip renames and resizes what older files hold otherwise
        open_clip.load_checkpoint(model, os.path.expanduser(weights), weights_only=True)
    except RuntimeError as error:
        raise _of_another_model(weights, name, misfit(state, model)) from error
    return model


@contextmanager
def _without_saying(words: str) -> Iterator[None]:
    """Keep back what a library logs at the root, where it says this."""
    root = logging.getLogger()

    def other(record: logging.LogRecord) -> bool:
        return words not in record.getMessage()

    root.addFilter(other)
    try:
        yield
    finally:
        root.removeFilter(other)


def _weights_in(folder: str) -> Path:
    files = [Path(folder, name) for name in _FOLDER_WEIGHTS if Path(folder, name).is_file()]
    if not files:
        raise ParameterError(
            f"The folder {folder!r} holds no weights: {' or '.join(_FOLDER_WEIGHTS)} was expected."
        )
    return files[0]


def _width_of_head(state: dict[str, Tensor], classifier: str | tuple[str, ...] | None) -> int:
    """How many classes weights are for; 0 where they have no head."""
    first = classifier[0] if isinstance(classifier, tuple | list) else classifier
    weight = state.get(f"{first}.weight")
    return 0 if weight is None else len(weight)


def _of_another_model(
    weights: str | os.PathLike[str], name: str, difference: str
) -> ParameterError:
    return ParameterError(
        f"{str(weights)!r} holds the weights of another model than {name!r}: {difference}. Name "
        "the model that was trained (--model)."
    )
