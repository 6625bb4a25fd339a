"""The part of ``docs/models.md`` about other libraries' models."""

from __future__ import annotations

from library_checks import Outcome

HEADING = "## transformers, open_clip, torchvision and others' code"


def section(outcomes: list[Outcome]) -> str:
    """The part of the document about these models."""
    import open_clip
    import torchvision
    import transformers

    versions = ", ".join(
        f"{module.__name__} {module.__version__.split('+')[0]}"
        for module in (transformers, open_clip, torchvision)
    )
    works = sum(outcome.works for outcome in outcomes)
    lines = [
        HEADING,
        "",
        f"Written by `python docs/models.py --libraries` with {versions}: of "
        f"{len(outcomes)} models {works} work and the others are refused. *Works* means: the "
        "output is the model's; attention is what the model returns (`output_attentions`) or gives "
        "its head outputs; the last tokens read out give the output; every explainer gives a map. "
        "Random weights, small sizes. *By* names the part of the model that is looked at.",
    ]
    titles = {"others": "Others' code (stand-ins with the same modules)"}
    for library in dict.fromkeys(outcome.case.library for outcome in outcomes):
        lines += ["", f"### {titles.get(library, library)}", ""]
        lines += [
            "| model | tokens | readout | attention held against | |",
            "|---|---|---|---|---|",
        ]
        lines += [outcome.row for outcome in outcomes if outcome.case.library == library]
    return "\n".join([*lines, "", OBJECTS, ""])


OBJECTS = """\
### What to give instead

| of | give |
|---|---|
| TorchScript, `torch.export`, `torch.fx` | the model that it was made from |
| `torch.compile`, `DataParallel`, `DistributedDataParallel`, `AveragedModel`, PEFT | itself: the \
module below is taken |
| an EMA or other holder that is no module | its `.module`, `.model` or `.ema_model`, as the \
error says |
| Lightning and other modules that hold a model | itself, if its forward takes images alone; else \
its `.model`, as the error says |
| LLaVA-like models | itself: the vision tower is taken, and `name` says so |
| weights on `meta` or offloaded by accelerate | the model loaded to one device |
| FSDP2 | the model after `model.unshard()` |
| videos and volumes | nothing yet: their tokens lie on a grid of time, row and column |
| another model | `vaw.adapt(model, blocks, readout, ...)` |"""
