"""How Sphinx makes the documentation site from the pages of this folder and the package's docstrings: ``make site``."""

from __future__ import annotations

import steadygrad

project = "steadygrad"
author = "the authors of steadygrad"
release = version = steadygrad.__version__
html_title = "steadygrad"

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_click"]
exclude_patterns = ["_build"]

myst_enable_extensions = ["colon_fence"]
# Pages link to headings of other pages.
myst_heading_anchors = 3

autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
autodoc_member_order = "bysource"
autodoc_class_signature = "separated"
add_module_names = False
python_use_unqualified_type_names = True

html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_copyright = False
html_copy_source = False
