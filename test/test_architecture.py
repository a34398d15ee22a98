"""What import-linter's contracts (pyproject.toml, ``make lint``) do not say about the structure."""

from __future__ import annotations

from support.imports import imports_of
from support.paths import ROOT

MODULES = sorted(path for package in ("lgnet_core", "lgnet_ros") for path in (ROOT / package).rglob("*.py"))
LONGEST = 350


def test_modules_stay_small() -> None:
    lines = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in MODULES}
    assert not {name: count for name, count in lines.items() if count > LONGEST}, "is each module one idea?"


def test_no_test_imports_another_and_no_tool_imports_a_test() -> None:
    tests = {path.stem for path in (ROOT / "test").rglob("test_*.py")}
    for path in [*(ROOT / "test").rglob("*.py"), *(ROOT / "tools").rglob("*.py")]:
        for name in imports_of(path):
            assert not tests & set(name.split(".")[:-1]), f"{path.relative_to(ROOT)} imports {name}: use support/"


def test_every_test_stands_beside_its_module() -> None:
    """``test/core`` and ``test/ros`` have the folders of the packages that they test."""
    for folder, package in (("core", "lgnet_core"), ("ros", "lgnet_ros")):
        for path in (ROOT / "test" / folder).rglob("test_*.py"):
            subpackage = path.parent.relative_to(ROOT / "test" / folder)
            assert (ROOT / package / subpackage / "__init__.py").exists(), (
                f"{path.relative_to(ROOT)}: no package {subpackage}"
            )
