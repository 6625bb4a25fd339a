"""What is asked of a notebook that was run."""

from __future__ import annotations

import hashlib

from nbformat import NotebookNode

WIDGET = "application/vnd.jupyter.widget-view+json"


def check_ran(notebook: NotebookNode) -> None:
    """Every cell of code was run, none failed, and widgets were shown."""
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(cell.execution_count for cell in cells)
    outputs = [output for cell in cells for output in cell.outputs]
    failed = [output for output in outputs if output.output_type == "error"]
    assert not failed, "\n".join(failed[0].traceback)
    assert any(WIDGET in output.get("data", {}) for output in outputs)


def code_hash(notebook: NotebookNode) -> str:
    """Of all cells of code, in order; `notebooks/refresh.py` keeps that of what it ran."""
    code = "\n\n".join(cell.source for cell in notebook.cells if cell.cell_type == "code")
    return hashlib.sha256(code.encode()).hexdigest()[:16]
