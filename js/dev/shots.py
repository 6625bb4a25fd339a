"""Screenshots of every state of the widgets: ``make shots``, or ``python js/dev/shots.py FOLDER``.

To be looked at after each change of a view, at each width, light and dark. The real weights and
photographs of ``../shared/real`` are shown too where they are.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
REAL = HERE.parents[1].parent / "shared" / "real"
WEIGHTS = REAL / "weights" / "vit_tiny_patch16_224.in1k.fp16.safetensors"
ALL_PANELS = "picture,decision,heads,film,by_layer,detail,strength,compare"

STATES: dict[str, tuple[str, str, tuple[int, ...]]] = {
    # name: (widget, options of bake.py, widths)
    "explorer": ("explorer", "", (420, 720, 980, 1600)),
    "explorer-pruned": ("explorer", "--prune 2-3,1-3", (420, 980)),
    "explorer-changes": ("explorer", "--prune 2-3 --panels picture,decision,heads,changes", (980,)),
    "explorer-all": ("explorer", f"--compare methods --panels {ALL_PANELS}", (420, 980, 1600)),
    "explorer-tour": ("explorer", "--tour 2", (420, 980)),
    "explorer-sigmoid": ("explorer", "--output sigmoid", (980,)),
    "explorer-value": ("explorer", "--output value --prune 2-3", (980,)),
    "explorer-binary": ("explorer", "--output binary", (980,)),
    "explorer-features": ("explorer", "--output features", (980,)),
    "explorer-images": ("explorer", "--set 24 --lay-out taylor --panels picture,images", (980,)),
    "explorer-curve": ("explorer", "--curves taylor,random", (980,)),
    "heads": ("head_grid", "--prune 2-3", (420, 980)),
    "inspector": ("attention_inspector", "", (420, 980)),
    "scrubber": ("daam_scrubber", "--score", (420, 980)),
    "strength": ("head_strength", "", (420, 980)),
    "compare": ("compare_view", "--compare methods --score", (420, 980)),
}
OF_REAL_WEIGHTS = {
    "real": ("explorer", "--image photos/both.png", (420, 980, 1600)),
    "real-pruned": ("explorer", "--image photos/both.png --prune 2-0,2-1", (980,)),
}


def main(folder: Path, chosen: list[str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    states = dict(STATES)
    if WEIGHTS.exists():
        for name, (widget, options, widths) in OF_REAL_WEIGHTS.items():
            options = options.replace("--image ", f"--image {REAL}/")
            model = f"--model vit_tiny_patch16_224 --weights {WEIGHTS}"
            states[name] = widget, f"{model} {options}", widths
    for name, (widget, options, widths) in states.items():
        if chosen and name not in chosen:
            continue
        for theme in ("light", "dark"):
            page = folder / f"{name}-{theme}.html"
            dark = ["--dark"] if theme == "dark" else []
            _run("bake.py", widget, str(page), *options.split(), *dark)
            _run("shoot.py", str(page), str(folder / f"{name}-{theme}"), *map(str, widths))
            page.unlink()
        print(name)


def _run(script: str, *arguments: str) -> None:
    subprocess.run([sys.executable, str(HERE / script), *arguments], check=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
