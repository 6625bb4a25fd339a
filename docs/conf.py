"""How `make docs` builds the site: Sphinx, as our docstrings link to each other by its roles.

Nothing is asked of other hosts, while building or by the pages: formulas become MathML here.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import tutorials
from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.application import Sphinx

import vit_attention_widget as vaw

project = "vit-attention-widget"
author = "the vit-attention-widget authors"
version = release = vaw.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.githubpages",  # whose pages would lack every folder with an underscore otherwise
    "sphinx.ext.napoleon",
]
exclude_patterns = ["_build", "tutorials/*_files"]
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}
default_role = "code"

myst_heading_anchors = 3
myst_enable_extensions = ["colon_fence"]
suppress_warnings = ["myst.xref_missing", "myst.header", "ref.python"]

autosummary_generate = False
autodoc_typehints = "none"  # the docstring says them, in words
autodoc_member_order = "bysource"
napoleon_google_docstring = False
napoleon_use_ivar = True
napoleon_use_rtype = False

html_theme = "furo"
html_title = "vit-attention-widget"
html_extra_path = ["_build/extra"]  # the live page, and the widgets of the gallery
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sourcelink = False
html_math_renderer = "mathml"
templates_path: list[str] = []


def _formula(translator: nodes.NodeVisitor, node: nodes.math | nodes.math_block) -> None:
    text = re.sub(r"\\[bB]igg?[lr]?(?![a-zA-Z])", "", node.astext())  # MathML finds sizes
    text = text.replace(r"\dots", r"\ldots")
    translator.body.append(tex2mathml(text, as_block=isinstance(node, nodes.math_block)))
    raise nodes.SkipNode


def setup(app: Sphinx) -> None:
    """Tell Sphinx what is ours."""
    app.add_html_math_renderer("mathml", (_formula, None), (_formula, None))
    app.connect("builder-inited", lambda _: tutorials.write(Path(__file__).parent))
