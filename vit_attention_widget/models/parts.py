"""Where a model's blocks and its patch embedding are, found by what they hold."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from torch import nn

from ..errors import UnsupportedModelError

__all__ = ["Parts", "find_parts"]

_LISTS = (nn.ModuleList, nn.Sequential)


@dataclass(frozen=True)
class Parts:
    """The parts of a Vision Transformer.

    Attributes
    ----------
    path : list of (str, nn.Module)
        From the model, whose name is empty, down to its core: the innermost module that holds both
        the patch embedding and the blocks.
    blocks : list of nn.Module
        From first to last.
    patches : nn.Conv2d
        The convolution that makes tokens of pixels, one a patch.
    """

    path: list[tuple[str, nn.Module]]
    blocks: list[nn.Module]
    patches: nn.Conv2d

    @property
    def core(self) -> nn.Module:
        """The innermost module that holds both."""
        return self.path[-1][1]

    def around_blocks(self) -> Iterator[tuple[str, nn.Module]]:
        """The core's modules that are no part of a block, with their names."""
        inside = {part for block in self.blocks for part in block.modules()}
        return ((name, m) for name, m in self.core.named_modules() if m not in inside)


def find_parts(model: nn.Module) -> Parts:
    """Find the blocks and the patch embedding of a model.

    The patch embedding is a convolution whose stride is its kernel's size; the blocks are the
    modules of a list all of which hold attention, in the innermost module that holds both.

    Raises
    ------
    UnsupportedModelError
        If there is no such convolution or list, or several lists.
    """
    why = "no convolution that makes one token of each patch was found in it"
    # A model with a tower for pictures and one for videos is looked at by the former.
    for name, module in sorted(model.named_modules(), key=lambda item: "video" in item[0]):
        if isinstance(module, nn.Conv3d) and module.stride == module.kernel_size:
            why = (
                f"its patch embedding {name!r} takes videos or volumes (Conv3d), whose tokens lie "
                "on a grid of time, row and column, which cannot be shown yet"
            )
        if not isinstance(module, nn.Conv2d) or module.stride != module.kernel_size:
            continue
        if min(module.stride) < 2:
            continue
        why = f"no list of blocks with attention was found beside its patch embedding {name!r}"
        for path in _upwards(model, name):
            lists = _lists_of_blocks(path[-1][1])
            if not lists:
                why += _lists_of_lists(path[-1][1])
            if len(lists) > 1:
                raise UnsupportedModelError(
                    f"{type(model).__name__} is not supported: {type(path[-1][1]).__name__} has "
                    f"several lists of blocks ({', '.join(lists)}), so it is not one sequence of "
                    "blocks over one grid of patches."
                )
            if lists and _stages(next(iter(lists.values()))):
                raise UnsupportedModelError(
                    f"{type(model).__name__} is not supported: {next(iter(lists))!r} is a list of "
                    "stages, between which the tokens change, so layers do not share one patch "
                    "grid."
                )
            if lists:
                return Parts(path, next(iter(lists.values())), module)
    if not _attends(model):
        why = "no attention was found in it"
    raise UnsupportedModelError(f"{type(model).__name__} is not supported: {why}.")


def _upwards(model: nn.Module, name: str) -> Iterator[list[tuple[str, nn.Module]]]:
    """Paths from the model to each module that holds the one called so, innermost first."""
    names = name.split(".")
    for length in range(len(names) - 1, -1, -1):
        starts = [".".join(names[:i]) for i in range(length + 1)]
        yield [(start, model.get_submodule(start)) for start in starts]


def _lists_of_blocks(module: nn.Module) -> dict[str, list[nn.Module]]:
    """Lists of modules that all hold attention, by name, outermost ones alone."""
    lists: dict[str, list[nn.Module]] = {}
    for name, child in module.named_modules():
        if not isinstance(child, _LISTS) or any(name.startswith(f"{outer}.") for outer in lists):
            continue
        blocks = list(_flat(child))
        if blocks and all(_attends(block) for block in blocks):
            lists[name] = blocks
    return lists


def _lists_of_lists(module: nn.Module) -> str:
    """A hint for blocks that are lists of modules, which do not run as modules themselves."""
    for name, child in module.named_modules():
        layers = list(child.children()) if isinstance(child, nn.ModuleList) else []
        if layers and all(isinstance(x, nn.ModuleList) and _attends(x) for x in layers):
            return (
                f"; {name!r} is a list of lists of modules, which vaw.adapt(model, "
                f"{name!r}, readout) takes for blocks"
            )
    return ""


def _stages(blocks: list[nn.Module]) -> bool:
    """Whether these are stages rather than blocks: lists of blocks are in them."""
    return any(
        len(_lists_of_blocks(block)) and any(_attends_below(b) for b in _first_list(block))
        for block in blocks
    )


def _first_list(module: nn.Module) -> list[nn.Module]:
    return next(iter(_lists_of_blocks(module).values()))


def _attends_below(module: nn.Module) -> bool:
    """Whether attention is a part of a module, rather than the module itself."""
    return any(_attends(child) for child in module.children())


def _flat(modules: nn.Module) -> Iterator[nn.Module]:
    """The modules of a list, and of lists in it; some codes keep blocks in chunks."""
    for module in modules.children():
        if isinstance(module, _LISTS):
            yield from _flat(module)
        elif not isinstance(module, nn.Identity):
            yield module


def _attends(module: nn.Module) -> bool:
    return any(
        "attention" in type(part).__name__.lower()
        or name.rpartition(".")[2] in ("attn", "attention")
        for name, part in module.named_modules()
    )
