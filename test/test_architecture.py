"""The two rules that hold the house up: the wall between the packages, and imports that run one way."""

from __future__ import annotations

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
CORE, ROS = ROOT / "lgnet_core", ROOT / "lgnet_ros"

# A module imports only what stands above it. The order is that in which data flows.
CORE_ORDER = [
    "types",
    "camera",
    "hand_crops",
    "cache",
    "hand_model",
    "hand_frame",
    "mesh_distance",
    "inter_hand",
    "network",
    "checkpoint",
    "export",
    "data",
    "drawing",
    "inference",
    "evaluation",
    "training",
    "results",
    "predict",
    "check",
    "demo",
    "cli_options",
    "cli_training",
    "cli_ablation",
    "cli",
    "__main__",
]

ROS_ORDER = [
    # what a user sets and sees
    "parameters",
    "topics",
    "qos",
    "throttle",
    "incompatible",
    # messages in
    "rejection",
    "interop",
    "encodings",
    "compressed",
    "camera_info",
    "intake",
    "calibrations",
    "subscription",
    # hands out
    "output",
    "messages",
    "template",
    "writers",
    "markers",
    "transforms",
    "statistics",
    "diagnostics",
    "tables",
    # the node
    "mailbox",
    "worker",
    "perception",
    "publishers",
    "session",
    "share",
    "arguments",
    "program",
    "lifecycle",
    "node",
    # programs
    "demo_camera",
    "demo_listener",
    "demo",
    "hands_cli",
]

ORDER = {"lgnet_core": CORE_ORDER, "lgnet_ros": ROS_ORDER}


def imports_of(path: Path) -> set[str]:
    """Dotted names that a file imports, inside functions too."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import; write the full name"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


CORE_FILES = sorted(CORE.rglob("*.py"))
ROS_FILES = sorted(ROS.rglob("*.py"))
FILES = [*CORE_FILES, *ROS_FILES]


def test_core_knows_no_ros() -> None:
    for path in CORE_FILES:
        assert not {n for n in imports_of(path) if n.split(".")[0] in {"rclpy", "lgnet_ros"}}, path


def test_ros_side_has_no_mathematics() -> None:
    for path in ROS_FILES:
        assert not {n for n in imports_of(path) if n.split(".")[0] in {"torch", "scipy", "roma"}}, path


@pytest.mark.parametrize("path", FILES, ids=module_name)
def test_imports_run_one_way(path: Path) -> None:
    parts = module_name(path).split(".")
    if len(parts) == 1:
        return
    package, order = parts[0], ORDER[parts[0]]
    assert parts[1] in order, f"{path}: new top-level module; give it a place in the order"
    for name in imports_of(path):
        target = name.split(".")
        if target[0] == package and len(target) > 1 and target[1] in order:
            assert order.index(target[1]) <= order.index(parts[1]), f"{module_name(path)} must not import {name}"


def test_no_import_cycles() -> None:
    modules = {module_name(p): p for p in FILES}
    graph: dict[str, set[str]] = {}
    for name, path in modules.items():
        found = set()
        for imported in imports_of(path):
            target = imported if imported in modules else imported.rpartition(".")[0]
            if target in modules and target != name:
                found.add(target)
        graph[name] = found
    TopologicalSorter(graph).prepare()  # raises CycleError


def test_modules_stay_small() -> None:
    long = {module_name(p): n for p in FILES if (n := len(p.read_text().splitlines())) > 350}
    assert not long, f"longer than 350 lines; is each one idea? {long}"
