"""Run the notebooks and keep what they put out: ``python notebooks/refresh.py [NAME ...]``.

Pictures are kept, widget state is not: it would be megabytes, and go stale. The code that was run is known by
its hash, so that a test tells outputs that are not of it.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.notebooks import code_hash

HERE = Path(__file__).parent


def refresh(path: Path) -> None:
    """Run a notebook from the first cell to the last, and write it with its outputs."""
    notebook = nbformat.read(path, 4)
    client = NotebookClient(
        notebook, timeout=600, kernel_name="python3", store_widget_state=False,
        record_timing=False,
    )  # fmt: skip
    client.execute(cwd=HERE)
    for name in ("widgets", "language_info"):
        notebook.metadata.pop(name, None)
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":  # progress bars are no result
            cell.outputs = [out for out in cell.outputs if out.get("name") != "stderr"]
    notebook.metadata["outputs_of"] = code_hash(notebook)
    nbformat.write(notebook, path)


if __name__ == "__main__":
    os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
    names = sys.argv[1:] or [path.stem for path in sorted(HERE.glob("*.ipynb"))]
    for name in names:
        refresh(HERE / f"{name}.ipynb")
        print(name)
