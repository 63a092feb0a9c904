"""Sphinx's settings. `python -m sphinx -W -b html docs docs/_build/html` builds the site, without a network."""

import os
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE / "_ext"), str(HERE.parent)]
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ["PYTHONPATH"] = str(HERE.parent)  # for the kernels that execute the pages
os.environ["PYTHONWARNINGS"] = "ignore"

import jaxact

project = "jaxact"
author = "The jaxact authors"
copyright = "2026, the jaxact authors"
version = release = jaxact.__version__

extensions = [
    "myst_nb",
    "sphinx_design",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "docstrings",
    "mathml",
    "functions",
    "reference",
    "repository",
]
exclude_patterns = ["_build", "_ext", "from/_*", "jupyter_execute", "**.ipynb_checkpoints", "test_*.py"]
nitpicky = True
show_warning_types = True

# Types in signatures: those of other libraries have pages elsewhere, and the build asks no network for them.
nitpick_ignore_regex = [("py:class", ".*"), ("py:obj", ".*")]

myst_enable_extensions = ["dollarmath", "colon_fence", "deflist", "attrs_block"]
myst_heading_anchors = 3
nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_in_temp = True
# Executed by `pytest examples` and, in an environment of its own, by .ci/run; the page has the pictures in the file.
nb_execution_excludepatterns = ["examples/tour.ipynb", "examples/colab.ipynb"]
nb_execution_timeout = 600
nb_merge_streams = True

autodoc_typehints = "signature"
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autodoc_mock_imports: list[str] = []
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_rtype = False
python_maximum_signature_line_length = 88

html_theme = "sphinx_book_theme"
html_title = "jaxact"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_math_renderer = "mathml"
html_copy_source = False
html_theme_options = {
    "show_navbar_depth": 1,
    "home_page_in_toc": True,
    "use_download_button": False,
    "use_fullscreen_button": False,
    "show_toc_level": 2,
    "navbar_start": [],
    "navbar_center": [],
    "navbar_end": [],
    "navbar_persistent": [],
    "pygments_light_style": "a11y-light",
    "pygments_dark_style": "a11y-dark",
}
html_last_updated_fmt = None
