"""How Sphinx builds the site; `make site` lays out its pages and calls it."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import nbvlm

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sphinx.application import Sphinx

project = "nbvlm"
author = copyright = "The nbvlm developers"  # noqa: A001 - the name that Sphinx reads
release = version = nbvlm.__version__

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_copybutton"]

# The notebooks come executed, with pictures in the place of widgets: no page loads anything from elsewhere.
nb_execution_mode = "off"
nb_ipywidgets_js = {}
nb_merge_streams = True
myst_enable_extensions = []
myst_heading_anchors = 4

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_default_options = {"members": True, "no-value": True}
napoleon_google_docstring = False
napoleon_use_rtype = False
napoleon_use_param = True
napoleon_use_ivar = True
napoleon_attr_annotations = False
python_maximum_signature_line_length = 80
python_display_short_literal_types = True
default_role = "py:obj"
add_module_names = False
suppress_warnings = ["ref.python"]  # a word in a docstring that several classes have is linked to one of them

html_theme = "furo"
html_title = "nbvlm"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_favicon = "static/icon.svg"
html_show_sphinx = False
html_copy_source = False
html_show_sourcelink = False
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#0b6e6e", "color-brand-content": "#0b6e6e"},
    "dark_css_variables": {"color-brand-primary": "#5fc9c9", "color-brand-content": "#5fc9c9"},
    "navigation_with_keys": False,
}
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True


def apart(lines: list[str]) -> Iterator[str]:
    """Give attributes that share a description, `first, factor`, an entry each: Sphinx reads one name."""
    start = lines.index("Attributes") + 2 if "Attributes" in lines else len(lines)
    yield from lines[:start]
    heads = [at for at in range(start, len(lines)) if lines[at] and not lines[at].startswith(" ")]
    for at, after in itertools.pairwise([*heads, len(lines)]):
        if set(lines[at]) == {"-"} or " : " in lines[at]:
            yield from lines[at:after]
            continue
        for name in lines[at].split(", "):
            yield from [name, *lines[at + 1 : after]]


def split_attributes(
    _app: Sphinx, _what: str, _name: str, _object: Any, _options: Any, lines: list[str]
) -> None:
    """Rewrite a docstring in place, before it is read as numpy's."""
    lines[:] = list(apart(lines))


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    app.connect("autodoc-process-docstring", split_attributes, priority=400)
