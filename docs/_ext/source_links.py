"""Sphinx extension: links and references that hold both on GitHub and in the manual.

Pages link to files of the repository by relative paths, as GitHub wants them. Files that the manual includes
(:data:`INCLUDED`) become links to their pages, and the links within them are made relative to ``docs``.
"""

from __future__ import annotations

import builtins
import importlib
import inspect
import os
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
INCLUDED = {
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "lgnet_core/weights/MODEL_CARD.md": "model-card.md",
    "lgnet_core/weights/EXPERIMENTS.md": "experiments.md",
}
LINK = re.compile(r"(?<=\]\()(?!\w+:|#)([^)\s#]+)(#[^)\s]*)?(?=\))")


def relocate(text: str, source: Path, target: Path) -> str:
    """Rewrite the relative links of a Markdown text.

    Args:
        text: Markdown as it is in ``source``.
        source: file that the text is from.
        target: page that shows the text.
    """

    def rewrite(link: re.Match[str]) -> str:
        path = Path(os.path.normpath(source.parent / link[1]))
        page = INCLUDED.get(str(path.relative_to(ROOT)))
        path = path if page is None else DOCS / page
        return os.path.relpath(path, target.parent) + (link[2] or "")

    return LINK.sub(rewrite, text)


def find_object(name: str, module: str | None, owner: str | None) -> Any:
    """The Python object of a reference.

    Args:
        name: absolute, or relative to the module or class in which the reference is written.

    Raises:
        LookupError: if there is none.
    """
    if not re.fullmatch(r"[^\W\d][\w.]*", name):
        raise LookupError(name)
    prefixes = [f"{module}.{owner}.", f"{module}."] if module and owner else [f"{module}."] if module else []
    for candidate in [*(prefix + name for prefix in prefixes), name]:
        parts = candidate.split(".")
        for length in range(len(parts), 0, -1):
            try:
                found = importlib.import_module(".".join(parts[:length]))
                for part in parts[length:]:
                    found = _member(found, part)
                return found
            except (ImportError, AttributeError):
                continue
    if hasattr(builtins, name):
        return getattr(builtins, name)
    raise LookupError(name)


def _member(owner: Any, name: str) -> Any:
    """An attribute, or True for one that only instances of a class have."""
    if inspect.isclass(owner) and not hasattr(owner, name):
        for base in owner.__mro__:
            if base.__module__.startswith("lgnet_") and (
                name in vars(base).get("__annotations__", {}) or f"self.{name}" in inspect.getsource(base)
            ):
                return True
    return getattr(owner, name)


def resolve(app: Any, env: Any, node: Any, content: Any) -> Any:
    """Accept a reference to an object that exists, though the manual does not document it under that name.

    Links it where it is documented under another name (a re-export). A reference to nothing remains a warning.
    """
    if node.get("refdomain") != "py":
        return None
    target = node["reftarget"]
    try:
        found = find_object(target, node.get("py:module"), node.get("py:class"))
    except LookupError:
        return None
    name = f"{getattr(found, '__module__', '')}.{getattr(found, '__qualname__', '')}"
    documented = env.get_domain("py").objects.get(name)
    if documented is None or not name.startswith("lgnet_core."):
        return content
    from sphinx.util.nodes import make_refnode

    return make_refnode(app.builder, node["refdoc"], documented.docname, documented.node_id, content, name)


def setup(app: Any) -> dict[str, Any]:
    def relocate_page(_: Any, document: str, source: list[str]) -> None:
        page = DOCS / f"{document}.md"
        source[0] = relocate(source[0], page, page)

    def relocate_included(_: Any, path: Path, document: str, source: list[str]) -> None:
        source[0] = relocate(source[0], Path(os.path.normpath(DOCS / path)), DOCS / f"{document}.md")

    app.connect("source-read", relocate_page)
    app.connect("include-read", relocate_included)
    app.connect("missing-reference", resolve)
    return {"parallel_read_safe": True}
