"""How Sphinx makes the documentation site from the pages of this folder and the package's docstrings: ``make site``."""

from __future__ import annotations

from typing import Any

from sphinx.application import Sphinx

import steadygrad

project = "steadygrad"
author = "the authors of steadygrad"
release = version = steadygrad.__version__
html_title = "steadygrad"

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_click"]

myst_enable_extensions = ["colon_fence"]
# The tutorial is kept without outputs: its cells run when the site is built, and write where nothing is kept.
nb_execution_mode = "force"
nb_execution_in_temp = True
nb_execution_timeout = 600
nb_execution_raise_on_error = True
nb_execution_show_tb = True
# A page of the site asks for nothing outside of it: the live picture, which needs scripts, stands in the notebook alone.
nb_ipywidgets_js = {}
nb_output_stderr = "remove"
# Pages link to headings of other pages.
myst_heading_anchors = 3

autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
autodoc_member_order = "bysource"
autodoc_class_signature = "separated"
autodoc_default_options = {"exclude-members": "__init__, __new__"}
add_module_names = False
python_use_unqualified_type_names = True
# Types of other libraries, and parts of a record, have no page here.
nitpick_ignore_regex = [
    ("py:class", r"(collections\.abc|torch|nn|os|pathlib|numpy)\..*"),
    ("py:class", r"(Callable|Iterable|PathLike|Journal|Listener|optional)"),
    ("py:class", r"steadygrad\.(record|journal|lab|_fix|cures|clip)\..*"),
    ("py:exc", r"\w*Error"),
]

html_theme = "furo"
pygments_dark_style = "github-dark"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_copyright = False
html_show_sphinx = False
html_copy_source = False

LISTED = ("rules/README", "cures/README", "lab/README")
"""Tables of pages, written by ``make.py``; the site's contents list the pages under each."""


def list_the_pages_beside_it(app: Sphinx, name: str, source: list[str]) -> None:
    """Add a table of contents of the folder, which only the site shows."""
    if name in LISTED:
        source[0] += "\n:::{toctree}\n:hidden:\n:glob:\n\n*\n:::\n"


class WithoutTypes:
    """Keeps napoleon off attributes, where it would read what stands before a colon in the first line as a type."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def before(self, app: Sphinx, what: str, name: str, thing: Any, options: Any, lines: list[str]) -> None:
        """Remember the docstring."""
        self.lines = list(lines)

    def after(self, app: Sphinx, what: str, name: str, thing: Any, options: Any, lines: list[str]) -> None:
        """Put it back."""
        if what in ("attribute", "property", "data"):
            lines[:] = self.lines


def setup(app: Sphinx) -> None:
    """Sphinx calls this."""
    app.connect("source-read", list_the_pages_beside_it)
    kept = WithoutTypes()
    # Napoleon comes between, at 500.
    app.connect("autodoc-process-docstring", kept.before, priority=400)
    app.connect("autodoc-process-docstring", kept.after, priority=600)
