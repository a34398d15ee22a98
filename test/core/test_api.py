"""The public names of ``lgnet_core``: imported on first use, typed, and quick to start with."""

from __future__ import annotations

import subprocess
import sys

import lgnet_core

PUBLIC = {"Camera", "Hand", "HandEstimator", "HandTracker", "Side", "TwoHands", "read_camera", "read_image"}
HEAVY = {"torch", "cv2", "numpy", "onnxruntime", "scipy"}


def modules_after(statement: str) -> set[str]:
    """Top-level modules that a fresh interpreter has loaded after a statement."""
    code = f"import sys; {statement}; print(*{{name.partition('.')[0] for name in sys.modules}})"
    return set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split())


def test_public_names_are_available() -> None:
    assert set(lgnet_core.__all__) == PUBLIC
    assert set(dir(lgnet_core)) >= PUBLIC
    from lgnet_core.inference import HandEstimator

    assert lgnet_core.HandEstimator is HandEstimator


def test_importing_the_package_imports_nothing_heavy() -> None:
    assert not HEAVY & modules_after("import lgnet_core")


def test_checking_files_imports_no_networks() -> None:
    """``lgnet check`` answers in under a second because of it."""
    loaded = modules_after("from lgnet_core.commands.check import check_files; check_files()")
    assert not {"torch", "cv2", "onnxruntime", "scipy"} & loaded
