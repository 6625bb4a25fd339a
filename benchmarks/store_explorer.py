"""The Explorer on a folder of 50,000 images x 144 heads: how fast it opens, and how it pans.

``python -m benchmarks.store_explorer`` writes such a folder as a long run does, opens it in the
Explorer beside the model's own work, and drags the map of its images in Chromium; ``--write`` keeps
the table. ``--folder FOLDER`` writes the folder only, with ``--pause`` as slowly as a run would.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from playwright.sync_api import Page

import vit_attention_widget as vaw
from tests.browser.chromium import at_hand
from vit_attention_widget.models import VisionTransformer
from vit_attention_widget.overview.stored.images import StoredImages
from vit_attention_widget.overview.stored.summary import Summary
from vit_attention_widget.results.zarr_folder import ZarrFolder
from vit_attention_widget.runs.folder import IMAGES_OF_A_CHUNK
from vit_attention_widget.runs.manifest import manifest

from .measure import Row, said, write_table

CHUNK, KINDS = 256, 10
FRAMES = 240
ZOOMS = {"the whole map": 0, "enlarged 4 times": 2, "enlarged 32 times": 5}


def model() -> VisionTransformer:
    """ViT-B/16 with random weights, the same ones in each process."""
    import timm

    torch.manual_seed(0)
    return vaw.describe(timm.create_model("vit_base_patch16_224").eval())


def write(folder: Path, vit: VisionTransformer, images: int, pause: float = 0.0) -> None:
    """What head_importance(..., store=folder) leaves of so many images, by numbers of no model."""
    folder.mkdir(parents=True, exist_ok=True)
    about = manifest("head_importance", vit, metric=["probability", "jsd"], target=None)
    text = json.dumps({**about, "total": images, IMAGES_OF_A_CHUNK: CHUNK})
    (folder / "manifest.json").write_text(text, "utf-8")
    zarr, rng = ZarrFolder(folder, "image", CHUNK), np.random.default_rng(0)
    layers, heads = vit.num_layers, max(vit.num_heads)
    kinds = rng.normal(size=(KINDS, layers * heads)) * rng.gamma(1, size=layers * heads)
    axes = ("image", "layer", "head")
    for first in range(0, images, CHUNK):
        count = min(CHUNK, images - first)
        labels = rng.integers(0, vit.num_classes, count)
        like = np.eye(KINDS)[labels % KINDS] + 0.5 * rng.normal(size=(count, KINDS))
        roots = like @ kinds + 0.5 * rng.normal(size=(count, layers * heads))
        values = (0.01 * roots * np.abs(roots)).reshape(count, layers, heads).astype(np.float32)
        arrays = {
            "probability": (axes, values),
            "jsd": (axes, np.abs(values)),
            "baseline": (("image",), rng.random(count).astype(np.float32)),
            "label": (("image",), labels),
        }
        zarr.append(first // CHUNK, arrays, {"kind": "head importance"})
        time.sleep(pause)


def opened(folder: Path, vit: VisionTransformer) -> tuple[vaw.Explorer, float, float]:
    """The Explorer; seconds until it is there, and until the folder has been read."""
    began = time.perf_counter()
    widget = vaw.Explorer(vit, torch.zeros(3, 224, 224), image_set=folder, panels=["images"])
    there = time.perf_counter() - began
    widget.session.look_at_store()
    while not widget.session._stored_points:
        time.sleep(0.005)
    return widget, there, time.perf_counter() - began


_DRAG = """async (frames) => {
  const host = document.querySelector('[data-widget], .vaw-host, body');
  const find = (root) => {
    for (const element of root.querySelectorAll('*')) {
      if (element.dataset?.testid === 'stored-map') return element;
      const inside = element.shadowRoot && find(element.shadowRoot);
      if (inside) return inside;
    }
    return null;
  };
  const map = find(document);
  const box = map.getBoundingClientRect();
  const at = (type, i) => map.dispatchEvent(new PointerEvent(type, {
    bubbles: true, button: 0, buttons: type === 'pointerup' ? 0 : 1, pointerId: 1,
    clientX: box.left + box.width / 2 + 80 * Math.sin(i / 20),
    clientY: box.top + box.height / 2 + 60 * Math.cos(i / 20),
  }));
  map.setPointerCapture = () => {};
  const times = [], painting = [];
  const frame = () => new Promise((done) => requestAnimationFrame(done));
  at('pointerdown', 0);
  for (let i = 0; i < frames; i++) {
    times.push(await frame());
    const began = performance.now();
    at('pointermove', i);
    painting.push(performance.now() - began);
  }
  at('pointerup', frames);
  return { times, painting };
}"""


def panned(page: Page, zooms: int) -> dict[str, tuple[float, str]]:
    """Frames while the map is dragged, and what each takes, with units."""
    for _ in range(zooms):
        page.get_by_test_id("stored-larger").click()
    browser = page.context.browser
    assert browser is not None
    browser.start_tracing(page=page, categories=["toplevel", "viz", "cc", "gpu"])
    measured = page.evaluate(_DRAG, FRAMES)
    trace = json.loads(browser.stop_tracing())
    frames = np.diff(measured["times"])[5:]
    page.get_by_test_id("stored-all").click()
    return {
        "frames": (1000 / float(np.mean(frames)), "a second"),
        "95 % of frames within": (float(np.quantile(frames, 0.95)), "ms"),
        "painting a frame": (statistics.median(measured["painting"]), "ms"),
        "page's thread, a frame": (_busy(trace, "CrRendererMain") / FRAMES, "ms"),
        "composing in software, a frame": (_busy(trace, "VizCompositorThread") / FRAMES, "ms"),
    }


def _busy(trace: dict[str, Any], thread: str) -> float:
    """Milliseconds of CPU that tasks of a thread took, those inside others not counted again."""
    names = {
        (event["pid"], event["tid"])
        for event in trace["traceEvents"]
        if event["name"] == "thread_name" and event["args"]["name"] == thread
    }
    tasks = [
        event
        for event in trace["traceEvents"]
        if (event["pid"], event["tid"]) in names and event.get("ph") == "X"
    ]
    total, until = 0.0, dict.fromkeys(names, 0.0)
    for task in sorted(tasks, key=lambda event: event["ts"]):
        where = task["pid"], task["tid"]
        if task["ts"] >= until[where]:
            until[where] = task["ts"] + task.get("dur", 0)
            total += task.get("tdur", task.get("dur", 0))
    return total / 1000


def rows(vit: VisionTransformer, images: int) -> Iterator[Row]:
    """How it opens beside the model's own first pass, and how its map is dragged."""
    with tempfile.TemporaryDirectory() as temporary:
        folder, path = Path(temporary, "store"), Path(temporary, "page.html")
        write(folder, vit, images)
        began = time.thread_time()
        Summary(StoredImages(folder, vit), "probability").update(lambda *_: None)
        yield Row("reading, laying out: CPU of one core", f"{time.thread_time() - began:.2f} s")
        widget, there, read = opened(folder, vit)
        session = widget.session
        sent = len(session._stored_points) + len(session._stored_heads)
        yield Row("until the widget is there", f"{there:.2f} s")
        yield Row("until all images are shown", f"{read:.2f} s", "<= 2 s")
        yield Row("bytes to the browser", f"{sent / 1e6:.2f} MB")
        while session.trace is None:
            time.sleep(0.1)
        session.cancel()
        session.wait()
        widget.to_html(path, max_megabytes=50, attention=False)
        widget.close()
        with at_hand() as browser:
            page = browser.new_page(viewport={"width": 1200, "height": 900})
            page.goto(path.as_uri())
            page.get_by_test_id("stored-canvas").wait_for()
            for label, zooms in ZOOMS.items():
                for question, (measured, unit) in panned(page, zooms).items():
                    goal = ">= 60" if unit == "a second" and not zooms else ""
                    yield Row(f"{label}, dragged: {question}", f"{measured:.1f} {unit}", goal)


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=50_000)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--write", action="store_true", help="write benchmarks/README.md")
    parser.add_argument("--folder", type=Path, help="write such a folder there, and do no more")
    parser.add_argument("--pause", type=float, default=0.0, help="seconds a chunk of 256 images")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.folder:
        write(options.folder, model(), options.images, options.pause)
        return
    table = [said(row) for row in rows(model(), options.images)]
    write_table(table, "store-explorer", options, keep=options.write)


if __name__ == "__main__":
    main()
