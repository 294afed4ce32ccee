"""The documentation as pages, for `nox -s docs`: Sphinx with the PyData theme."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml

import cbackprop

HERE = Path(__file__).parent

project = "cbackprop"
author = "the authors of cbackprop"
project_copyright = "the authors of cbackprop. MIT licence"
version = release = cbackprop.__version__

extensions = ["myst_nb", "sphinx.ext.autosummary", "numpydoc", "sphinx_copybutton", "sphinx_design",
              "sphinx_gallery.gen_gallery"]
templates_path = ["_templates"]
exclude_patterns = ["_build", "**/README.md", "gallery/**/*.ipynb"]
source_suffix = {".rst": "restructuredtext", ".md": "myst-nb", ".ipynb": "myst-nb"}

myst_enable_extensions = ["colon_fence", "dollarmath", "attrs_inline"]
myst_heading_anchors = 3
nb_execution_mode = "force"  # a notebook is kept without its output
nb_execution_raise_on_error = True
nb_execution_timeout = 120
nb_render_markdown_format = "myst"  # the formulas of `explain`

autosummary_generate = True
autodoc_typehints = "none"  # numpydoc's sections have the types
numpydoc_show_class_members = False  # the template of a class lists them
numpydoc_xref_param_type = False

sphinx_gallery_conf = {
    "examples_dirs": ["../examples/chapter2", "../examples/inside", "../examples/sparse_text"],
    "gallery_dirs": ["gallery/chapter2", "gallery/inside", "gallery/sparse_text"],
    "filename_pattern": r"\.py$",
    "download_all_examples": False,
    "write_computation_times": False,
    "show_signature": False,
    "remove_config_comments": True,
    "abort_on_example_error": True,
}

html_theme = "pydata_sphinx_theme"
html_title = "cbackprop"
html_static_path = ["_static"]
html_css_files = ["cbackprop.css"]
html_show_sourcelink = False
html_theme_options = {
    "navigation_with_keys": False,
    "show_prev_next": True,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
    "navbar_end": ["theme-switcher"],
    "header_links_before_dropdown": 6,
}
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True


def mathml(node: nodes.Element, block: bool) -> str:
    """Return a formula as MathML, which browsers draw by themselves: no script, no network."""
    drawn = tex2mathml(node.astext(), as_block=block)
    return f'<div class="math">{drawn}</div>' if block else f'<span class="math">{drawn}</span>'


def draw(translator: Any, node: nodes.Element) -> None:
    """Write a formula, in a line or on its own."""
    translator.body.append(mathml(node, isinstance(node, nodes.math_block)))
    raise nodes.SkipNode


# Pages link to what a reader of the repository finds; here are the pages that say the same.
SAME = {"../README.md": "index.md", "../examples/chapter2/README.md": "gallery/chapter2/index.rst",
        "../examples/inside/README.md": "gallery/inside/index.rst",
        "../examples/sparse_text/README.md": "gallery/sparse_text/index.rst"}


FIGURE = re.compile(r"^(!\[[^\]]*\]\((?:\.\./)?figures/[\w-]+)(\.\w+\))$", re.MULTILINE)


def read(app: Any, name: str, source: list[str]) -> None:
    """Let the page "What's new" be CHANGELOG.md, links lead to pages, and figures be pairs."""
    if name == "whats_new":
        text = (HERE.parent / "CHANGELOG.md").read_text(encoding="utf-8")
        source[0] = re.sub(r"\]\(docs/", "](", text).replace("# Changelog", "# What's new", 1)
    for there, here in SAME.items():
        source[0] = source[0].replace(f"]({there})", f"]({here})")
    source[0] = FIGURE.sub(r"\1\2{.only-light}\n\1-dark\2{.only-dark}", source[0])


def setup(app: Any) -> None:
    """Register the formulas and links, and fetch the notebooks, which Sphinx finds only here."""
    shutil.copytree(HERE.parent / "examples" / "notebooks", HERE / "notebooks", dirs_exist_ok=True)
    app.add_html_math_renderer("mathml", (draw, None), (draw, None))
    app.connect("source-read", read)


html_math_renderer = "mathml"
