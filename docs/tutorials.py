"""Pages of the site that are made of other files: the notebooks, and exported widgets."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
from nbconvert import MarkdownExporter

NOTEBOOKS = ("quickstart", "head_pruning", "strength_and_patterns", "which_map_to_trust")
VIEW = "application/vnd.jupyter.widget-view+json"


def write(docs: Path) -> None:
    """Write every notebook as a page, with the outputs that it was saved with."""
    folder = docs / "tutorials"
    folder.mkdir(exist_ok=True)
    for name in NOTEBOOKS:
        notebook = nbformat.read(docs.parent / "notebooks" / f"{name}.ipynb", 4)
        for cell in notebook.cells:
            for output in cell.get("outputs", []):
                output.get("data", {}).pop(VIEW, None)  # the picture stands beside it
                if "image/png" in output.get("data", {}):
                    output["data"].pop("text/plain", None)
        exporter = MarkdownExporter()
        files = f"{name}_files"
        body, resources = exporter.from_notebook_node(
            notebook, {"output_files_dir": files, "unique_key": name}
        )
        (folder / files).mkdir(exist_ok=True)
        for path, data in resources["outputs"].items():
            (folder / path).write_bytes(data)
        _write(folder / f"{name}.md", _other_pages(body))


def _other_pages(body: str) -> str:
    """Links to other notebooks are links to their pages."""
    return re.sub(r"`(\w+)\.ipynb`", r"[`\1.ipynb`](\1.md)", body)


def _write(path: Path, text: str) -> None:
    """Write what has changed: Sphinx reads files again that are newer."""
    if not path.exists() or path.read_text("utf-8") != text:
        path.write_text(text, "utf-8")
