"""Inference, the node and their commands run without PyTorch, which `pip install lgnet_ros` does not install."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from support.paths import ROOT

HIDE = """
import sys
from importlib.machinery import PathFinder

class WithoutTorch:
    @staticmethod
    def find_spec(name, path=None, target=None):
        extra = "torch", "roma", "onnx", "onnxscript", "pytorch_lightning", "torchmetrics"
        return None if name.partition(".")[0] in extra else PathFinder.find_spec(name, path, target)

sys.meta_path = [WithoutTorch if finder is PathFinder else finder for finder in sys.meta_path]
"""
"""Makes the packages of the extras ``torch`` and ``train`` look as if they were not installed."""

NODE_MODULES = (
    "lgnet_ros.node, lgnet_ros.perception.tracker, lgnet_ros.demo.camera, lgnet_ros.demo.listener, "
    "lgnet_ros.demo.system, lgnet_ros.applications.cloud_filter, lgnet_ros.applications.handover, "
    "lgnet_ros.output.openxr, lgnet_ros.output.planning_scene"
)


def run(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run code in a new interpreter that has no torch."""
    command = [sys.executable, "-c", HIDE + code, *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)


def lgnet(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command ``lgnet``."""
    return run("sys.argv[0] = 'lgnet'\nfrom lgnet_core.cli.app import main\nmain()", *arguments)


@pytest.fixture(scope="module")
def photograph(tmp_path_factory) -> Path:
    """A frame of the bundled clip that shows both hands."""
    import cv2

    from lgnet_core.data.clip import read_clip

    clip = read_clip()
    path = tmp_path_factory.mktemp("images") / "hands.png"
    cv2.imwrite(str(path), clip.frames[int(clip.presence.all(1).argmax())][..., ::-1])
    return path


def test_predict(photograph, tmp_path):
    done = lgnet("predict", str(photograph), "--fov", "50", "--out", str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert "1 right, 1 left" in done.stdout
    assert {f"hands{ending}" for ending in ("_overlay.png", "_view.png", ".npz")} <= {
        p.name for p in tmp_path.iterdir()
    }


def test_the_tracker_follows_the_bundled_clip():
    done = run(
        "from lgnet_core.data.clip import read_clip\n"
        "from lgnet_core.inference import HandEstimator, HandTracker, Smoothing\n"
        "clip, tracker = read_clip(), HandTracker(HandEstimator.load(), Smoothing())\n"
        "found = [tracker.update(f, clip.camera, k * 33_000_000).hands for k, f in enumerate(clip.frames)]\n"
        "print(sum(map(len, found)), int(clip.presence.sum()))"
    )
    assert done.returncode == 0, done.stderr
    found, present = map(int, done.stdout.split())
    assert 0.9 * present <= found <= present + 2


def test_retargeting_to_another_hand_model(tmp_path):
    done = run(
        "import dataclasses\n"
        "from lgnet_core.data.clip import read_clip\n"
        "from lgnet_core.hand_model import HandModel, load_hand_model\n"
        "from lgnet_core.inference import HandEstimator\n"
        "right = load_hand_model().assets[0]\n"
        "larger = HandModel(dataclasses.replace(right, v_template=right.v_template * 1.1))\n"
        "clip = read_clip()\n"
        "print(len(HandEstimator.load(hand_model=larger).estimate(clip.frames[0], clip.camera).hands))"
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) == 2


def test_check_reports_torch_as_optional():
    done = lgnet("check", "--full")
    assert done.returncode == 0, done.stdout + done.stderr


def test_urdf(tmp_path):
    done = lgnet("urdf", "right", "--out", str(tmp_path / "hand.urdf"))
    assert done.returncode == 0, done.stderr


def test_modules_of_the_node_and_the_applications_are_imported():
    pytest.importorskip("rclpy")
    done = run(f"import {NODE_MODULES}")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("train", "--preset", "lgnet-hand"),
        ("train-palms", "--data", "IMAGE", "--root", "IMAGE"),
        ("ablate",),
        ("eval",),
        ("export",),
        ("bench",),
        ("synth", "-n", "1"),
        ("predict", "IMAGE", "--attention"),
        ("predict", "IMAGE", "--engine", "eager"),
    ],
    ids=lambda arguments: " ".join(arguments),
)
def test_other_commands_say_what_to_install(arguments, photograph, tmp_path):
    out = [] if arguments[0] == "bench" else ["--out", str(tmp_path / "out")]
    done = lgnet(*(str(photograph) if word == "IMAGE" else word for word in arguments), *out)
    assert done.returncode == 1
    assert "pip install 'lgnet_ros[t" in done.stderr, done.stderr
    assert "Traceback" not in done.stderr
