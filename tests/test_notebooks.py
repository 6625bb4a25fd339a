"""The notebooks run from the first cell to the last, as they are."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from tests.browser.chromium import find
from tests.notebooks import WIDGET, check_ran, code_hash

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_its_outputs_are_of_its_code(path: Path) -> None:
    """`python notebooks/refresh.py` runs the notebooks and keeps what they put out."""
    notebook = nbformat.read(path, 4)
    assert notebook.metadata["outputs_of"] == code_hash(notebook), f"run refresh.py {path.stem}"
    assert "widgets" not in notebook.metadata
    check_ran(notebook)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_picture_stands_for_every_widget(path: Path) -> None:
    shown = [
        output.data
        for cell in nbformat.read(path, 4).cells
        for output in cell.get("outputs", [])
        if WIDGET in output.get("data", {})
    ]
    assert all("image/png" in data for data in shown)
    assert path.stat().st_size < 2_000_000


@pytest.mark.skipif(find() is not None, reason="tests/browser runs them all, in JupyterLab")
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_runs(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_WAIT_POLICY", "PASSIVE")  # see torch's threads beside another process
    notebook = nbformat.read(path, 4)
    NotebookClient(notebook, timeout=600, kernel_name="python3").execute(cwd=path.parent)
    check_ran(notebook)
