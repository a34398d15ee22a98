"""The documentation: its length, its links and anchors, and its generated drawings. ``make docs`` checks the rest."""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path

import pytest
import typer
from support.paths import ROOT

MODEL_CARD = ROOT / "lgnet_core" / "weights" / "MODEL_CARD.md"
PAGES = [
    *sorted(ROOT.glob("*.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted(MODEL_CARD.parent.glob("*.md")),
]
LINK = re.compile(r"\]\((?!\w+:)([^)#\s]*)#?([^)\s]*)\)")
CODE = re.compile(r"```.*?```|`[^`\n]*`", re.DOTALL)


def anchors(page: Path) -> set[str]:
    """Anchors that GitHub gives to the headings of a page."""
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def broken_links(page: Path, text: str) -> list[str]:
    """Relative links in the text of a page whose file or anchor does not exist."""
    broken = []
    for path, anchor in LINK.findall(CODE.sub("", text)):
        target = page.parent / path if path else page
        if not target.exists() or (anchor and target.suffix == ".md" and anchor not in anchors(target)):
            broken.append(f"{path}#{anchor}" if anchor else path)
    return broken


@pytest.mark.parametrize(("page", "limit"), [(ROOT / "README.md", 250), (MODEL_CARD, 120)], ids=["readme", "card"])
def test_page_is_short(page: Path, limit: int) -> None:
    assert len(page.read_text().splitlines()) <= limit


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_and_anchors_exist(page: Path) -> None:
    assert not broken_links(page, page.read_text())


def test_a_broken_link_is_found() -> None:
    text = "[a](README.md#limits) [b](README.md#no-such-heading) [c](no-such-file.md) `[d](code.md)` [e](https://x.org)"
    assert broken_links(ROOT / "README.md", text) == ["README.md#no-such-heading", "no-such-file.md"]


def test_every_page_is_in_the_table_of_contents() -> None:
    pages = {str(page.relative_to(ROOT / "docs").with_suffix("")) for page in (ROOT / "docs").rglob("*.md")}
    listed = set()
    for name in ("index", "api"):
        for block in re.findall(r"```\{toctree\}(.*?)```", (ROOT / "docs" / f"{name}.md").read_text(), re.DOTALL):
            listed |= {line for line in block.splitlines() if line and line[0] not in ":"}
    assert pages - {"index"} == listed


def test_drawings_are_up_to_date(monkeypatch: pytest.MonkeyPatch) -> None:
    """The import layers in the drawing are those of pyproject.toml."""
    monkeypatch.syspath_prepend(ROOT / "docs" / "_ext")
    if sys.version_info < (3, 11):
        pytest.importorskip("tomli")
    drawings = importlib.import_module("architecture_drawing")
    for name, draw in drawings.DRAWINGS.items():
        remedy = "update it: python docs/_ext/architecture_drawing.py"
        assert (ROOT / "docs" / "images" / name).read_text() == draw(), remedy


def test_every_command_is_in_the_table() -> None:
    from lgnet_core.cli.app import app

    table = (ROOT / "docs" / "cli.md").read_text()
    assert not [name for name in typer.main.get_command(app).commands if f"| `lgnet {name}" not in table]
