"""Build the live page: a folder of files for any web host.

``PYTHONPATH=. python live/build.py FOLDER`` from the root of a checkout, after ``make build`` and
``npm install`` in ``live/``; ``make site`` does all of it.
"""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import torch

import vit_attention_widget as vaw
from live.model import graphs
from live.patterns import learned, patterns_file
from vit_attention_widget.demo.model import MEAN, STD
from vit_attention_widget.export.built_files import built_file
from vit_attention_widget.export.parts import part
from vit_attention_widget.export.session_values import values_of

ROOT = Path(__file__).parent.parent
RUNTIME = ROOT / "live" / "node_modules" / "onnxruntime-web"
ROUNDS = 2


def scenes(rounds: int = ROUNDS) -> list[vaw.demo.Scene]:
    """Some of each kind, in turn; a scene with two objects comes first."""
    kinds = [*vaw.demo.KINDS] * rounds
    first = vaw.demo.two_objects(208, ("heart", "star"))
    return [first, *(vaw.demo.scene(seed, kind) for seed, kind in enumerate(kinds))]


def explorer(shown: list[vaw.demo.Scene], patterns: vaw.AttentionPatterns) -> vaw.Explorer:
    """The Explorer as the page opens it, on the first scene."""
    pairs = [(scene.image, scene.label) for scene in shown]
    widget = vaw.Explorer(vaw.demo.load_model(), shown[0].image, image_set=pairs, selected_image=0)
    widget.session.wait()
    widget.session.patterns = patterns
    widget.session.show_images()
    widget.session.wait()
    return widget


def state(shown: list[vaw.demo.Scene], patterns: vaw.AttentionPatterns) -> tuple[str, str]:
    """What the script of the page reads first, and what it reads where patterns are looked at."""
    widget = explorer(shown, patterns)
    try:
        values = values_of(widget.session, (), attention=False).values
        own = widget.own_values()
        trace, overview = widget.session.trace, widget.session._overview
        info, of_patterns = widget.session._model_info, patterns_file(widget.session)
    finally:
        widget.close()
    assert trace is not None
    vit, record, drawn = trace.model, trace.layers[0], _drawn(trace)
    size = {
        "layers": vit.num_layers,
        "heads": vit.num_heads[0],
        "tokens": trace.tokens.num_tokens,
        "dim": record.q.shape[-1],
        "width": record.output.shape[-1],
        "classes": vit.num_classes,
        "rows": trace.tokens.rows,
        "cols": trace.tokens.cols,
    }
    names = [f"{scene.name} {i}" for i, scene in enumerate(shown)]
    named = {
        "_overview": {**overview, "names": names},
        "_model_info": {**info, "image_name": names[0]},
    }
    pictures = {
        "pixels": np.stack([scene.image for scene in shown]).tobytes(),
        "names": names,
        "labels": [scene.label for scene in shown],
        "side": shown[0].image.shape[0],
        "mean": MEAN[0],
        "deviation": STD[0],
    }
    told = {"own": own, "size": size, "scenes": pictures, "drawn": drawn}
    return part({"values": values | named, **told}), of_patterns


def _drawn(trace: vaw.Trace) -> dict[str, object]:
    """What generators draw for maps and curves, so that the page has the same."""
    heads = [(layer, head) for layer, count in enumerate(trace.num_heads) for head in range(count)]
    random.Random(0).shuffle(heads)
    seeded = torch.Generator().manual_seed(0)
    return {
        "random": vaw.evaluation.random(trace).final.flatten().tolist(),
        "shuffled": torch.randperm(trace.tokens.num_patches, generator=seeded).tolist(),
        "heads": heads,
    }


def page() -> str:
    """The HTML, with the sheet of the widgets in it."""
    *kinds, last = vaw.demo.KINDS
    text = (ROOT / "live" / "page.html").read_text("utf-8")
    text = text.replace("<!-- kinds -->", f"{', '.join(kinds)} and {last}")
    return text.replace("/* style.css */", built_file("style.css").read_text("utf-8"))


def build(
    folder: Path,
    shown: list[vaw.demo.Scene] | None = None,
    patterns: vaw.AttentionPatterns | None = None,
) -> None:
    """Write all files of the page, with these scenes and the patterns learned from them."""
    if not RUNTIME.exists():
        raise SystemExit("ONNX Runtime Web is missing: run `npm install` in live/, or `make site`.")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / "index.html").write_text(page(), "utf-8")
    shown = shown or scenes()
    session, of_patterns = state(shown, patterns or learned(shown))
    (folder / "session.txt").write_text(session, "utf-8")
    (folder / "patterns.txt").write_text(of_patterns, "utf-8")
    for graph in graphs().iterdir():
        shutil.copy(graph, folder)
    script = ["node", "live.mjs", str(folder.resolve())]
    subprocess.run(script, cwd=ROOT / "js", check=True)
    for source, name in (
        ("dist/ort.wasm.bundle.min.mjs", "ort.js"),
        ("dist/ort-wasm-simd-threaded.wasm", "ort-wasm-simd-threaded.wasm"),
    ):
        shutil.copyfile(RUNTIME / source, folder / name)


if __name__ == "__main__":
    build(Path(sys.argv[1]))
