"""The wheel: what is in it, and that it works where there is no Jupyter."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BUNDLES = [
    "attention_inspector.js",
    "daam_scrubber.js",
    "explorer.js",
    "explorer.first.js",
    "head_grid.js",
    "attention_pattern_map.js",
    "head_strength.js",
    "compare_view.js",
]

LARGER = {"explorer.first.js": 180_000, "explorer.js": 300_000}
"""What may take more than 100 kB. The whole Explorer is for pages that have no kernel, and for
hosts in which a widget reaches no model but its own."""

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    [path] = out.glob("*.whl")
    return path


def test_the_wheel_holds_bundles_and_weights(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        sizes = {info.filename: info.file_size for info in archive.infolist()}
    for name in [*BUNDLES, "explorer.more.js"]:
        limit = LARGER.get(name, 100_000)
        assert 5_000 < sizes[f"vit_attention_widget/static/{name}"] <= limit, name
    assert sizes["vit_attention_widget/static/style.css"] > 1_000
    assert sizes["vit_attention_widget/demo/weights.safetensors"] <= 4 * 2**20
    assert not [name for name in sizes if "node_modules" in name or name.startswith("tests")]


def test_bundles_come_with_the_licenses_of_what_is_in_them(wheel: Path) -> None:
    packages = ("preact", "@preact/signals", "@preact/signals-core")
    with zipfile.ZipFile(wheel) as archive:
        texts = archive.read("vit_attention_widget/static/LICENSES.txt").decode()
        assert texts.count("Permission is hereby granted") == len(packages)
        for name in BUNDLES:
            bundle = archive.read(f"vit_attention_widget/static/{name}").decode()
            for package in packages:
                assert f"/*! {package} " in bundle
                assert f"{package} " in texts


def test_the_wheel_says_that_it_is_typed(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        assert archive.read("vit_attention_widget/py.typed") == b""


def test_it_works_without_jupyter(wheel: Path, tmp_path: Path) -> None:
    """Unpacked elsewhere, in a process in which no part of Jupyter can be imported."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path)
    code = """
import sys
class NoJupyter:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"anywidget", "ipywidgets", "traitlets", "IPython", "ipykernel"}:
            raise ImportError(name + " is blocked")
sys.meta_path.insert(0, NoJupyter())
import vit_attention_widget as vaw
for late in ("timm", "matplotlib", "pandas"):
    assert late not in sys.modules, "importing the package loaded " + late
model = vaw.demo.load_model()
trace = vaw.trace(model, vaw.demo.scene(seed=3).image)
print(vaw.__file__, tuple(vaw.explainers.legrad(trace).final.shape))
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env={"PYTHONPATH": str(tmp_path), "OMP_WAIT_POLICY": "PASSIVE", "PATH": "/usr/bin"},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert str(tmp_path) in done.stdout
    assert "(1, 10, 10)" in done.stdout
