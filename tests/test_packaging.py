"""The wheel: what is in it, what a release asks of it, and how it works without Jupyter."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from types import ModuleType

import pytest
import yaml

ROOT = Path(__file__).parents[1]
BUNDLES = [
    "attention_inspector.js",
    "daam_scrubber.js",
    "explorer.js",
    "explorer.first.js",
    "head_grid.js",
    "head_grid.first.js",
    "attention_pattern_map.js",
    "head_strength.js",
    "compare_view.js",
]
SECOND_PARTS = ["explorer.more.js", "head_grid.more.js"]

LARGER = {"explorer.first.js": 180_000, "explorer.js": 300_000, "head_grid.js": 120_000}
"""What may take more than 100 kB. Widgets that a notebook gets in two parts are whole for pages
that have no kernel, and for hosts in which a widget reaches no model but its own."""

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    [path] = out.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def release() -> ModuleType:
    """What ``make release`` runs."""
    spec = importlib.util.spec_from_file_location("release", ROOT / "release.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_release_finds_what_a_wheel_lacks(
    wheel: Path, release: ModuleType, tmp_path: Path
) -> None:
    """Of the wheel as it is built, nothing but the addresses that the project does not have yet."""
    [homeless] = release.wheel_problems(wheel)
    assert "[project.urls]" in homeless
    worse = tmp_path / wheel.name
    with zipfile.ZipFile(wheel) as archive, zipfile.ZipFile(worse, "w") as other:
        for name in archive.namelist():
            if not name.endswith(("static/LICENSES.txt", "explorer.js")):
                other.writestr(name, archive.read(name))
        other.writestr("tests/test_all.py", "")
    text = " ".join(release.wheel_problems(worse))
    for said in ("lacks vit_attention_widget/static/explorer.js", "lacks the license of preact",
                 "lacks the licenses", "should not hold tests/test_all.py"):  # fmt: skip
        assert said in text


def test_a_release_finds_versions_that_differ(release: ModuleType, tmp_path: Path) -> None:
    for file in ("vit_attention_widget/__init__.py", "js/package.json", "recipe/recipe.yaml"):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / file, tmp_path / file)
    package = tmp_path / "js/package.json"
    package.write_text(re.sub(r'"version": ".*?"', '"version": "9.9.9"', package.read_text()))
    version = re.findall(
        r'__version__ = "(.+)"', (ROOT / "vit_attention_widget/__init__.py").read_text()
    )[0]
    (tmp_path / "CHANGELOG.md").write_text(f"# Changelog\n\n## {version} (a date)\n")
    assert list(release.version_problems(tmp_path)) == [
        f"js/package.json is of version 9.9.9, the package of {version}"
    ]
    said = list(release.version_problems(ROOT))
    assert not [problem for problem in said if "CHANGELOG" not in problem]


def test_the_conda_recipe_asks_for_what_the_wheel_does(wheel: Path) -> None:
    """Under conda's names, with the same oldest versions."""
    with zipfile.ZipFile(wheel) as archive:
        name = next(name for name in archive.namelist() if name.endswith("/METADATA"))
        metadata = archive.read(name).decode()
    recipe = yaml.safe_load((ROOT / "recipe/recipe.yaml").read_text())
    conda = {"torch": "pytorch", "matplotlib": "matplotlib-base"}
    needed, optional = set(), set()
    for package, oldest, extra in re.findall(
        r"^Requires-Dist: ([\w-]+)>=([\d.]+)(?:; extra == '(.+)')?$", metadata, re.M
    ):
        requirement = f"{conda.get(package, package)} >={oldest}"
        if not extra:
            needed.add(requirement)
        elif extra not in ("demo", "docs", "hosts", "release", "test"):
            optional.add(requirement)
    python = re.findall(r"^Requires-Python: >=(.+)$", metadata, re.M)[0]
    assert set(recipe["requirements"]["run"]) == needed | {f"python >={python}"}
    assert set(recipe["requirements"]["run_constraints"]) == optional
    assert recipe["build"]["python"]["entry_points"][0].startswith("vaw = ")


def test_the_wheel_holds_bundles_and_weights(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        sizes = {info.filename: info.file_size for info in archive.infolist()}
    for name in [*BUNDLES, *SECOND_PARTS]:
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
import torch
of_torch = set(sys.modules)
import vit_attention_widget as vaw
loaded = {name.split(".")[0] for name in sys.modules.keys() - of_torch} - sys.stdlib_module_names
assert loaded <= {"vit_attention_widget", "numpy", "PIL", "safetensors"}, loaded
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


def test_importing_the_package_loads_no_more_than_it_needs() -> None:
    code = """
import sys, vit_attention_widget as vaw
heavy = ("timm", "sklearn", "pandas", "matplotlib")
assert not [module for module in heavy if module in sys.modules]
assert "vit_attention_widget.evaluation" not in sys.modules
vaw.evaluate, vaw.evaluation.scores_of, vaw.Evaluation
assert not [module for module in heavy if module in sys.modules]
vaw.window_attention, vaw.WindowAttention
assert callable(vaw.window_attention)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
