"""Configuration of Sphinx. ``make docs`` builds the manual into out/docs, without network access."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(Path(__file__).parent / "_ext")]

from sphinx.ext.napoleon.docstring import GoogleDocstring  # noqa: E402

import lgnet_core  # noqa: E402

project = "lgnet_ros"
author = "The lgnet_ros developers"
project_copyright = "2026, the lgnet_ros developers"
version = release = lgnet_core.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.mathjax",
    "sphinx_copybutton",
    "generated_pages",
    "source_links",
]
exclude_patterns = ["_ext"]
nitpicky = True
# Sphinx's own stand-in for the aliases of autodoc_type_aliases inside unions (FloatArray | None).
# torch.Tensor, in modules that import it for type checkers only.
nitpick_ignore = [("py:class", "TypeAliasForwardRef"), ("py:class", "Tensor")]

myst_enable_extensions = ["colon_fence", "dollarmath"]
myst_heading_anchors = 3  # the anchors that GitHub gives

autodoc_default_options = {"members": True, "member-order": "bysource", "exclude-members": "forward"}
autodoc_typehints_format = "short"
autodoc_type_aliases = {"FloatArray": "FloatArray"}
napoleon_custom_sections = [
    (section, "params_style") for section in ("Shapes", "Shapes and units", "Buffers", "Additional buffers and modules")
]
napoleon_use_rtype = False
napoleon_use_ivar = True

html_theme = "furo"
html_title = f"lgnet_ros {release}"
copybutton_prompt_text = "$ "


def _consume_prose(self: GoogleDocstring) -> tuple[str, list[str]]:
    """Docstrings of attributes are prose: in "Metres: ..." the first word is not a type, as napoleon takes it for."""
    return "", [self._lines.next(), *self._dedent(self._consume_to_end())]


GoogleDocstring._consume_inline_attribute = _consume_prose
