"""How Sphinx builds the site: `make docs`, every warning an error, nothing fetched."""

import hashlib
import os
import sys
from importlib.metadata import version as installed_version
from pathlib import Path

from nbclient import NotebookClient

DOCS = Path(__file__).parent
sys.path.insert(0, str(DOCS / "extensions"))

project = "lightconv"
author = "The lightconv developers"
copyright = f"2026, {author}"
version = release = installed_version("lightconv")

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
extensions += ["inside", "mathematics", "prose"]  # our own
exclude_patterns = ["*.py", "extensions", "tutorials/drawing.py", "tutorials/practice.py", "**/__pycache__"]
suppress_warnings = ["config.cache", "ref.python"]  # two classes are called Classifier

# --- pages ----------------------------------------------------------------------------------------------------------

myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3

# --- tutorials: text in the percent format, executed while the site is built ----------------------------------------


def _library() -> str:
    """A name that changes with the library and the tutorials' length: what was computed with others is outdated."""
    sources = sorted([*DOCS.parent.glob("lightconv/**/*.py"), *DOCS.glob("tutorials/*.py")])
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:12]
    return f"{os.environ.get('LIGHTCONV_TUTORIALS', 'full')}-{digest}"


nb_custom_formats = {".py": ["jupytext.reads", {"fmt": "py:percent"}]}
nb_execution_mode = "cache"
nb_execution_cache_path = str(DOCS.parent / "build" / "executed" / _library())
nb_execution_raise_on_error = True
nb_execution_timeout = 900
nb_merge_streams = True
NotebookClient.startup_timeout = 600  # seconds, on a machine that has much else to do

# --- reference: from the docstrings ---------------------------------------------------------------------------------

default_role = "code"
add_module_names = False
autodoc_member_order = "groupwise"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
autodoc_default_options = {"members": True, "show-inheritance": True}
python_use_unqualified_type_names = True
python_display_short_literal_types = True
toc_object_entries_show_parents = "hide"
napoleon_numpy_docstring = False
maximum_signature_line_length = 88

# --- looks ----------------------------------------------------------------------------------------------------------

html_theme = "furo"
html_title = "lightconv"
html_static_path = ["style"]
html_css_files = ["lightconv.css"]
html_math_renderer = "mathml"
html_copy_source = False
html_show_sphinx = False
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#a3500f", "color-brand-content": "#a3500f"},
    "dark_css_variables": {"color-brand-primary": "#f0a35e", "color-brand-content": "#f0a35e"},
}
pygments_style = "friendly"
pygments_dark_style = "native"
