"""Tests of the demo: camera, node and listener processes, report and images."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import cv2
import numpy as np
import pytest
from std_msgs.msg import Header
from support.fixed_hands import CAMERA, two_hands
from support.ros_domain_id import reserved_domain_id
from support.waiting import TIMEOUT, wait_for

from lgnet_core.geometry.hand_frame import HandFrames
from lgnet_ros.cli import main
from lgnet_ros.demo.listener import TopicStatistics
from lgnet_ros.input.hands import to_image_hands
from lgnet_ros.output.messages import to_joints_array, to_mesh_array, to_qualities

# Runs the demo in a domain, with time limits that no slow machine reaches.
PROGRAM = """
import sys
from pathlib import Path
from lgnet_ros.cli import main
from lgnet_ros.demo import system

system.DOMAINS = [int(sys.argv[1])]
if sys.argv[2] == "short":
    system.SHUTDOWN_TIMEOUT = 300.0  # its exit code depends on that of every process
    sys.exit(system.run_demo(Path(sys.argv[3]), seconds=2.0, remappings=["-p", "patience:=300.0"]))
sys.exit(main(sys.argv[2:]))
"""


@pytest.fixture
def domain_id() -> Iterator[int]:
    with reserved_domain_id() as domain_id:
        yield domain_id


def test_demo_prints_a_report_and_exits(tmp_path, domain_id):
    """Exit code 0, the rate of /hands/mesh, an overlay and a 3D view."""
    environment = os.environ | {"COLUMNS": "120"}
    command = [sys.executable, "-c", PROGRAM, str(domain_id), "short", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "/hands/mesh received at" in done.stdout
    assert "Hz" in done.stdout
    assert "right and left hand detected" in " ".join(done.stdout.split()), "the images must show all detected hands"
    assert "Traceback" not in done.stderr
    for name in ("overlay.png", "view_3d.png"):
        image = cv2.imread(str(tmp_path / name))
        assert image.shape[0] == 480
        assert image.std() > 5, f"{name} is blank"


def test_sigterm_stops_all_processes_and_remappings_apply_to_the_camera(tmp_path, domain_id):
    log = tmp_path / "log"
    command = [sys.executable, "-c", PROGRAM, str(domain_id), "--demo", str(tmp_path), "--namespace", "arm"]
    command += ["--image", "wrist/image"]
    with log.open("w") as output:
        demo = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
    children = Path(f"/proc/{demo.pid}/task/{demo.pid}/children")
    processes: list[str] = []
    try:
        wait_for(lambda: demo.poll() is not None or "on /arm/wrist/image" in log.read_text(), "the demo camera")
        assert demo.poll() is None, log.read_text()
        processes = children.read_text().split()
        demo.terminate()
        assert demo.wait(TIMEOUT) == 143
        assert len(processes) == 3
        assert not [pid for pid in processes if Path(f"/proc/{pid}").exists()]
    finally:
        demo.kill()
        for pid in processes:
            with suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)


@pytest.mark.parametrize("name", ["file", "file/below", 300 * "n"], ids=["a file", "below a file", "too long"])
def test_unusable_output_path_is_one_line(tmp_path, capsys, name):
    (tmp_path / "file").touch()
    assert main(["--demo", str(tmp_path / name)]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"lgnet-hands: {tmp_path / name}: cannot be created as a folder")
    assert "; " in line
    assert "Errno" not in line


def test_conversion_of_messages_to_hands(hand_model):
    """Converting hands to messages and back preserves sides, positions and triangles."""
    hands, header = two_hands(hand_model, track_id=7), Header(frame_id="camera")
    poses = HandFrames(hand_model).poses(hands.hands)
    converted = to_image_hands(
        to_joints_array(hands, header, 0.0, poses, to_qualities(hands, CAMERA)),
        to_mesh_array(hands, header, 0.0, poses),
    ).first
    assert converted.metric
    for expected, hand in zip(hands.hands, converted.hands, strict=True):
        assert (hand.side, hand.track_id) == (expected.side, expected.track_id)
        np.testing.assert_array_equal(hand.joints, expected.joints)
        np.testing.assert_array_equal(hand.faces, expected.faces)
        np.testing.assert_allclose(hand.vertices, expected.vertices, atol=1e-6)
        np.testing.assert_allclose(hand.joints_2d, expected.joints_2d, atol=1e-3)


def test_topic_statistics():
    statistics = TopicStatistics("/hands/mesh")
    assert statistics.rate == 0
    assert np.isnan(statistics.age(50))
    for k in range(5):
        statistics.add(0.1 * k)
        statistics.times[-1] = 2.0 * k
    assert statistics.rate == 0.5
    np.testing.assert_allclose(statistics.age(50), 0.2)
