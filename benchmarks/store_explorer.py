"""The Explorer on a folder of 50,000 images x 144 heads: how fast it opens, and how it pans.

``python -m benchmarks.store_explorer`` writes such a folder as a long run does, opens it in the
Explorer beside the model's own work, and drags the map of its images in Chromium. Needs timm and
playwright; ``--write FOLDER`` writes the folder only, and ``--pause`` as slowly as a run would.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

import vit_attention_widget as vaw
from vit_attention_widget.models import VisionTransformer
from vit_attention_widget.overview.stored.images import StoredImages
from vit_attention_widget.overview.stored.summary import Summary
from vit_attention_widget.results.zarr_folder import ZarrFolder
from vit_attention_widget.runs.manifest import manifest

CHUNK, KINDS = 256, 10
FRAMES = 240


def model() -> VisionTransformer:
    """ViT-B/16 with random weights, the same ones in each process."""
    import timm

    torch.manual_seed(0)
    return vaw.describe(timm.create_model("vit_base_patch16_224").eval())


def write(folder: Path, vit: VisionTransformer, images: int, pause: float = 0.0) -> None:
    """What head_importance(..., store=folder) leaves of so many images, by numbers of no model."""
    folder.mkdir(parents=True, exist_ok=True)
    about = manifest("head_importance", vit, metric=["probability", "jsd"], target=None)
    text = json.dumps({**about, "total": images, "images of a chunk": CHUNK})
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


def panned(page: Any, zooms: int) -> dict[str, float]:
    """Frame times while the map is dragged, in milliseconds, and what each frame takes."""
    for _ in range(zooms):
        page.get_by_test_id("stored-zoom-in").click()
    browser = page.context.browser
    browser.start_tracing(page=page, categories=["toplevel", "viz", "cc", "gpu"])
    measured = page.evaluate(_DRAG, FRAMES)
    trace = json.loads(browser.stop_tracing())
    frames = np.diff(measured["times"])[5:]
    page.get_by_test_id("stored-whole").click()
    return {
        "frames a second": 1000 / float(np.mean(frames)),
        "95th percentile of a frame, ms": float(np.quantile(frames, 0.95)),
        "painting, ms": statistics.median(measured["painting"]),
        "page's thread, ms": _busy(trace, "CrRendererMain") / FRAMES,
        "composing in software, ms": _busy(trace, "VizCompositorThread") / FRAMES,
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=50_000)
    parser.add_argument("--write", type=Path)
    parser.add_argument("--pause", type=float, default=0.0, help="seconds a chunk of 256 images")
    options = parser.parse_args()
    vit = model()
    if options.write:
        write(options.write, vit, options.images, options.pause)
        return
    from tests.browser.chromium import at_hand

    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "store"
        write(folder, vit, options.images)
        began = time.thread_time()
        Summary(StoredImages(folder, vit), "probability").update(lambda *_: None)
        print(f"reading it takes {time.thread_time() - began:.2f} s of one core")
        widget, there, read = opened(folder, vit)
        session = widget.session
        sent = len(session._stored_points) + len(session._stored_heads)
        print(f"Explorer there {there:.2f} s, folder read {read:.2f} s, {sent:,} bytes sent")
        while session.trace is None:
            time.sleep(0.1)
        session.cancel()
        session.wait()
        page_path = Path(temporary) / "page.html"
        widget.to_html(page_path, max_megabytes=50, attention=False)
        widget.close()
        with at_hand() as browser:
            page = browser.new_page(viewport={"width": 1200, "height": 900})
            page.goto(page_path.as_uri())
            page.get_by_test_id("stored-canvas").wait_for()
            for zooms in (0, 2, 5):
                measured = panned(page, zooms)
                said = ", ".join(f"{name} {value:.1f}" for name, value in measured.items())
                print(f"zoomed {2**zooms} times: {said}")


if __name__ == "__main__":
    main()
